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

// BenchmarkMoves moves many updates of one app at once, each in a transaction of its own, as a fleet does, on one
// or several servers. again/op is how many of the writes were carried out a second time.
func BenchmarkMoves(b *testing.B) {
	for _, with := range []struct {
		name     string
		database func(testing.TB) string
		servers  int
	}{{"sqlite", storetest.SQLite, 1}, {"postgres", storetest.Postgres, 1}, {"postgres-3-servers", storetest.Postgres, 3}} {
		for _, n := range []int{1, 10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", with.name, n), func(b *testing.B) {
				databaseURL := with.database(b)
				stores := make([]*Store, with.servers)
				for i := range stores {
					stores[i] = open(b, databaseURL)
					defer stores[i].Close()
				}
				ids := manyUpdates(b, stores[0], n)
				var goes, done atomic.Int64
				for b.Loop() {
					var group sync.WaitGroup
					for i, id := range ids {
						group.Go(func() {
							done.Add(1)
							if err := stores[i%len(stores)].Write(b.Context(), func(ctx context.Context, tx *Tx) error {
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
	head, err := tx.NextHistorySeq(ctx, "app", "no hash")
	if err != nil {
		return err
	}
	u, err := tx.GetUpdate(ctx, id)
	if err != nil {
		return err
	}
	if n, err := tx.SetUpdateState(ctx, SetUpdateStateParams{ID: id, Version: u.Version, State: column.Verifying, Reason: "r", StateSince: noon}); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%d rows", n))
	}
	return errors.Join(
		tx.SetHistoryHead(ctx, "app", head.Hash),
		tx.InsertUpdateEvent(ctx, InsertUpdateEventParams{UpdateID: id, FromState: column.RollingOut, ToState: column.Verifying, Reason: "r", Actor: "a", CreatedAt: noon}),
		tx.SetCVMState(ctx, SetCVMStateParams{ID: u.CVMID, Status: "s", ActiveUpdateID: id, UpdatedAt: noon}))
}
