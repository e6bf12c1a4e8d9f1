package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// onEach runs a test of the store on a new database of each engine: what it proves holds for both.
func onEach(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := open(t, databaseURL)
		defer s.Close()
		f(t, s)
	})
}

func open(t testing.TB, databaseURL string) *Store {
	t.Helper()
	s, err := Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var noon = column.At(time.Date(2026, 1, 2, 12, 0, 0, 123456789, time.UTC))

func workspace(id string) InsertWorkspaceParams {
	return InsertWorkspaceParams{ID: "wks_" + id, Slug: id, Name: id, WalletAddress: "0x00", CreatedAt: noon}
}

func insert(t *testing.T, s *Store, id string) error {
	t.Helper()
	return s.Write(t.Context(), func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace(id)) })
}

func slugs(t *testing.T, s *Store) string {
	t.Helper()
	rows, err := s.Read().ListWorkspaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range rows {
		all = append(all, row.Slug)
	}
	return strings.Join(all, " ")
}

func TestWhatIsWrittenIsThereAfterReopening(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := open(t, databaseURL)
		if err := insert(t, s, "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, databaseURL)
		defer s.Close()
		row, err := s.Read().GetWorkspaceBySlug(t.Context(), "a")
		if err != nil || row.CreatedAt != noon {
			t.Fatalf("row = %+v, %v; want it with its time to the microsecond", row, err)
		}
		if _, err := s.Read().GetWorkspaceBySlug(t.Context(), "b"); !errors.Is(err, ErrNotFound) {
			t.Errorf("missing row: %v, want ErrNotFound", err)
		}
	})
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		boom := errors.New("boom")
		err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
			if err := tx.InsertWorkspace(ctx, workspace("a")); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) || slugs(t, s) != "" {
			t.Fatalf("error %v, rows %q; want boom and none", err, slugs(t, s))
		}
		if err := insert(t, s, "a"); err != nil {
			t.Fatal(err)
		}
		if err := insert(t, s, "a"); !errors.Is(err, ErrDuplicate) {
			t.Errorf("second insert = %v, want ErrDuplicate", err)
		}
	})
}

// TestWritesOfAGroupStandAlone holds the writer until several writes wait, so that they share a commit;
// those that fail must not take the others with them.
func TestWritesOfAGroupStandAlone(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	defer s.Close()
	if err := insert(t, s, "taken"); err != nil {
		t.Fatal(err)
	}
	const n = 40
	gate, entered := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_ = s.Write(context.Background(), func(context.Context, *Tx) error {
			close(entered)
			<-gate
			return nil
		})
	})
	<-entered
	results := make([]error, n)
	var queued sync.WaitGroup
	for i := range n {
		queued.Add(1)
		group.Go(func() {
			queued.Done()
			defer func() {
				if p := recover(); p != nil {
					results[i] = fmt.Errorf("panicked: %v", p)
				}
			}()
			results[i] = s.Write(context.Background(), func(ctx context.Context, tx *Tx) error {
				if err := tx.InsertWorkspace(ctx, workspace(fmt.Sprintf("w%02d", i))); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return errors.New("refused")
				case 2:
					panic("bad write")
				case 3:
					return tx.InsertWorkspace(ctx, workspace("taken"))
				}
				return nil
			})
		})
	}
	queued.Wait()
	close(gate)
	group.Wait()
	for i, err := range results {
		want := []string{"", "refused", "panicked: bad write", "exists already"}[i%4]
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("write %d = %v, want %q", i, err, want)
		}
	}
	want := []string{"taken"}
	for i := 0; i < n; i += 4 {
		want = append(want, fmt.Sprintf("w%02d", i))
	}
	if got := slugs(t, s); got != strings.Join(want, " ") {
		t.Errorf("rows = %s, want %s", got, strings.Join(want, " "))
	}
}

func TestWriteThatWasGivenUpDoesNotHappen(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.Write(ctx, func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace("a")) })
		if !errors.Is(err, context.Canceled) || slugs(t, s) != "" {
			t.Fatalf("error %v, rows %q", err, slugs(t, s))
		}
		// A context that ends in the middle must not undo what others write in the same commit.
		ctx, cancel = context.WithCancel(t.Context())
		err = s.Write(ctx, func(ctx context.Context, tx *Tx) error {
			cancel()
			return tx.InsertWorkspace(ctx, workspace("b"))
		})
		if err != nil || slugs(t, s) != "b" {
			t.Fatalf("error %v, rows %q; a write that began happens whole", err, slugs(t, s))
		}
	})
}

// oneCVM puts one CVM into the database, with the id 1 and a document.
func oneCVM(t *testing.T, s *Store) appcompose.ComposeHash {
	t.Helper()
	hash := appcompose.Hash([]byte("x"))
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := errors.Join(tx.InsertWorkspace(ctx, workspace("a")), tx.PutDocument(ctx, hash, []byte("x"), noon),
			tx.InsertApp(ctx, InsertAppParams{AppID: "app", ProjectID: "p", WorkspaceID: "wks_a", KMSID: "k", CreatedAt: noon})); err != nil {
			return err
		}
		_, err := tx.InsertCVM(ctx, InsertCVMParams{HashID: "c", VMUUID: "u", WorkspaceID: "wks_a", AppID: "app", Name: "n", CreatedAt: noon})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestOnePowerOperationAndOneInLine(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		oneCVM(t, s)
		for i, step := range []struct {
			state column.PowerState
			ok    bool
		}{
			{column.PowerPending, true}, {column.PowerPending, false}, {column.PowerStopping, false}, {column.PowerStarting, false},
			{column.PowerBooting, false}, {column.PowerRemoving, false}, {column.PowerQueued, true}, {column.PowerQueued, false},
			{column.PowerSucceeded, true}, {column.PowerFailed, true}, {column.PowerCancelled, true},
		} {
			id := fmt.Sprint("pow_", i)
			err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
				return tx.InsertPowerOperation(ctx, InsertPowerOperationParams{
					ID: id, CVMID: 1, Kind: column.PowerStop, State: step.state, Reason: "r", CorrelationID: id, CreatedBy: "k", CreatedAt: noon,
				})
			})
			if step.ok != (err == nil) || err != nil && !errors.Is(err, ErrDuplicate) {
				t.Errorf("insert %d (%s) = %v, want ok %v", i, step.state, err, step.ok)
			}
		}
		err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
			changed, err := tx.SetPowerState(ctx, SetPowerStateParams{ID: "pow_0", Version: 2, State: column.PowerFailed, StateSince: noon})
			if err == nil && changed != 0 {
				err = errors.New("a stale version was written")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestOneCandidateAndOneRollout(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		hash := oneCVM(t, s)
		update := func(id string, state column.UpdateState) error {
			return s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
				return tx.InsertUpdate(ctx, InsertUpdateParams{
					ID: id, CVMID: 1, Kind: column.KindUpdate, State: state, Reason: "r", CorrelationID: id,
					ComposeHash: hash, CreatedBy: "k", CreatedAt: noon, ExpiresAt: noon,
				})
			})
		}
		for i, step := range []struct {
			state column.UpdateState
			ok    bool
		}{
			{column.AwaitingApproval, true}, {column.AwaitingApproval, false},
			{column.Approved, true}, {column.RollingOut, false}, {column.Verifying, false}, {column.RollingBack, false},
			{column.Succeeded, true}, {column.Succeeded, true},
		} {
			err := update(fmt.Sprint("upd_", i), step.state)
			if step.ok != (err == nil) || err != nil && !errors.Is(err, ErrDuplicate) {
				t.Errorf("insert %d (%s) = %v, want ok %v", i, step.state, err, step.ok)
			}
		}
		u, err := s.Read().GetUpdate(t.Context(), "upd_0")
		if err != nil {
			t.Fatal(err)
		}
		err = s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
			changed, err := tx.SetUpdateState(ctx, SetUpdateStateParams{ID: u.ID, Version: u.Version + 1, State: column.Expired, StateSince: noon})
			if err == nil && changed != 0 {
				err = errors.New("a stale version was written")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "sqlite:", "lockstep.db", "mysql://user:secret@host/db",
		"postgres:", "postgres://user:secret@host:port/db", "postgres://user:secret@host/db?sslmode=sometimes"} {
		_, err := Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), "postgres://USER@HOST:PORT/DATABASE") {
			t.Errorf("Open(%q) = %v, want an error that says what is expected", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) shows the password: %v", url, err)
		}
	}
}

func TestPathWithOddCharacters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?name#100%", "db")
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := insert(t, s, "a"); err != nil {
		t.Fatal(err)
	}
}

func TestOneServerToADatabase(t *testing.T) {
	databaseURL := storetest.SQLite(t)
	s := open(t, databaseURL)
	defer s.Close()
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), databaseURL) // to look is allowed
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := second.Lock(); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("second lock = %v, want it refused", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := second.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
