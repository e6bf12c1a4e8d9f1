package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// BenchmarkMoves moves many updates at once, each in transactions of its own, as a fleet does. again/op is
// how many of the transactions were carried out a second time.
func BenchmarkMoves(b *testing.B) {
	for name, databaseURL := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		for _, n := range []int{10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				s := open(b, databaseURL(b))
				defer s.Close()
				ids := manyUpdates(b, s, n)
				var goes, done atomic.Int64
				for b.Loop() {
					var group sync.WaitGroup
					for _, id := range ids {
						group.Go(func() {
							done.Add(1)
							if err := s.Write(b.Context(), func(ctx context.Context, tx *Tx) error {
								goes.Add(1)
								return moveOnce(ctx, tx, id)
							}); err != nil {
								b.Error(err)
							}
						})
					}
					group.Wait()
				}
				b.ReportMetric(float64(goes.Load()-done.Load())/float64(done.Load()), "again/op")
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(done.Load()), "µs/move")
			})
		}
	}
}

// manyUpdates makes updates of as many CVMs, which are under way.
func manyUpdates(b *testing.B, s *Store, n int) []string {
	hash, ids := appcompose.Hash([]byte("x")), make([]string, n)
	err := s.Write(b.Context(), func(ctx context.Context, tx *Tx) error {
		if err := errors.Join(tx.InsertWorkspace(ctx, workspace("a")), tx.PutDocument(ctx, hash, []byte("x"), noon),
			tx.InsertApp(ctx, InsertAppParams{AppID: "app", ProjectID: "p", WorkspaceID: "wks_a", KMSID: "k", CreatedAt: noon})); err != nil {
			return err
		}
		for i := range n {
			ids[i] = fmt.Sprintf("upd_%05d", i)
			row, err := tx.InsertCVM(ctx, InsertCVMParams{HashID: ids[i], VMUUID: ids[i], WorkspaceID: "wks_a", AppID: "app", Name: ids[i], CreatedAt: noon})
			if err != nil {
				return err
			}
			if err := tx.InsertUpdate(ctx, InsertUpdateParams{ID: ids[i], CVMID: row.ID, Kind: column.KindUpdate, State: column.RollingOut,
				Reason: "r", CorrelationID: ids[i], ComposeHash: hash, CreatedBy: "k", CreatedAt: noon}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return ids
}

// moveOnce writes what a change of state does.
func moveOnce(ctx context.Context, tx *Tx, id string) error {
	u, err := tx.GetUpdate(ctx, id)
	if err != nil {
		return err
	}
	if n, err := tx.SetUpdateState(ctx, SetUpdateStateParams{ID: id, Version: u.Version, State: column.Verifying, Reason: "r", StateSince: noon}); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%d rows", n))
	}
	return errors.Join(
		tx.InsertUpdateEvent(ctx, InsertUpdateEventParams{UpdateID: id, FromState: column.RollingOut, ToState: column.Verifying, Reason: "r", Actor: "a", CreatedAt: noon}),
		tx.SetCVMState(ctx, SetCVMStateParams{ID: u.CVMID, Status: "s", ActiveUpdateID: id, UpdatedAt: noon}))
}
