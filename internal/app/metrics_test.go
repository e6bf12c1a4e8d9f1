package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// fixedClock stands still.
type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time                             { return c.now }
func (c fixedClock) Sleep(context.Context, time.Duration) error { return nil }

func TestMetricsTellWhatIsOpen(t *testing.T) {
	ctx := t.Context()
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "lockstep.db"))
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	t.Cleanup(func() {
		if !closed {
			_ = db.Close()
		}
	})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	insertUpdates(t, db, began)
	m := newMetrics(db, fixedClock{began.Add(10 * time.Minute)})
	page := func() string {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(m)
		answer := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return answer.Body.String()
	}
	m.UpdateEnded(column.KindUpdate, column.Succeeded, 3*time.Second)
	has(t, page(), map[string]string{
		`lockstep_updates_open{state="approved"}`: "0", `lockstep_updates_open{state="awaiting_approval"}`: "1",
		`lockstep_updates_open{state="rolling_out"}`: "1", `lockstep_updates_open{state="verifying"}`: "0", `lockstep_updates_open{state="rolling_back"}`: "0",
		`lockstep_update_oldest_seconds{state="awaiting_approval"}`: "540", `lockstep_update_oldest_seconds{state="rolling_out"}`: "600",
		`lockstep_update_oldest_seconds{state="approved"}`: "0",
		`lockstep_rollouts_open{state="running"}`:          "0", `lockstep_jobs{state="available"}`: "0", `lockstep_jobs{state="retryable"}`: "0",
		`lockstep_update_duration_seconds_count{kind="update",result="succeeded"}`: "1",
		`lockstep_update_duration_seconds_sum{kind="update",result="succeeded"}`:   "3",
		"lockstep_servers":              "1",
		"lockstep_database_read_errors": "0",
	})

	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	closed = true
	// What does not come from the database is still told.
	has(t, page(), map[string]string{
		"lockstep_database_read_errors": "1", `lockstep_update_duration_seconds_count{kind="update",result="succeeded"}`: "1",
	})
}

// has compares the values of lines of a page of metrics.
func has(t *testing.T, page string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(page) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			got[name] = value
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %s", name, got[name], value)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

// insertUpdates writes two CVMs, one with an update that rolls out and one that awaits approval, and a final one.
func insertUpdates(t *testing.T, db *store.Store, began time.Time) {
	t.Helper()
	at := func(minutes int) column.Time { return column.At(began.Add(time.Duration(minutes) * time.Minute)) }
	err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.InsertWorkspace(ctx, store.InsertWorkspaceParams{ID: "wks_1", Slug: "one", Name: "one", CreatedAt: at(0)}); err != nil {
			return err
		}
		if err := tx.InsertApp(ctx, store.InsertAppParams{AppID: "app", ProjectID: "prj_1", WorkspaceID: "wks_1", Name: "app", CreatedAt: at(0)}); err != nil {
			return err
		}
		if err := tx.PutDocument(ctx, appcompose.ComposeHash{1}, []byte("{}"), at(0)); err != nil {
			return err
		}
		finished := at(1)
		for i, u := range []store.InsertUpdateParams{
			{State: column.RollingOut, CreatedAt: at(0)}, {State: column.AwaitingApproval, CreatedAt: at(1)},
			{State: column.Succeeded, CreatedAt: at(0), FinishedAt: &finished},
		} {
			name := string(rune('a' + i))
			cvm, err := tx.InsertCVM(ctx, store.InsertCVMParams{
				HashID: "cvm_" + name, VMUUID: name, WorkspaceID: "wks_1", AppID: "app", Name: name, NodeID: 1, CreatedAt: at(0),
			})
			if err != nil {
				return err
			}
			u.ID, u.CVMID, u.Kind, u.Reason, u.CorrelationID = "upd_"+name, cvm.ID, column.KindUpdate, "for a reason", name
			u.ComposeHash = appcompose.ComposeHash{1}
			if err := tx.InsertUpdate(ctx, u); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMetricsCountTheServersThatLive(t *testing.T) {
	db, err := store.Open(t.Context(), storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := newMetrics(db, fixedClock{})
	page := func() string {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(m)
		answer := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
		return answer.Body.String()
	}
	has(t, page(), map[string]string{"lockstep_servers": "0"})
	for server, lease := range map[string]time.Duration{"srv_a": time.Hour, "srv_b": time.Hour, "srv_gone": 0} {
		if err := db.Leases().Join(t.Context(), server, lease); err != nil {
			t.Fatal(err)
		}
	}
	has(t, page(), map[string]string{"lockstep_servers": "2", "lockstep_database_read_errors": "0"})
}
