package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func (h *harness) list(cvm *CVM, query OperationsQuery) *OperationsPage {
	h.t.Helper()
	page, err := h.service.Operations(context.Background(), h.alice, cvm.Row.HashID, query)
	must(h.t, err)
	return page
}

func ids(page *OperationsPage) []string {
	var all []string
	for _, o := range page.Items {
		all = append(all, o.ID)
	}
	return all
}

// history makes a CVM with a deploy, an update, one that failed, a stop and a start, some at the same time.
func (h *harness) history(name string) *CVM {
	h.t.Helper()
	cvm := h.create(name, api.KMSPhala)
	for n := 2; n <= 3; n++ {
		out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(n)})
		must(h.t, err)
		h.node.sick[out.Accepted.Update.ComposeHash] = n == 3
		h.settle(out.Accepted.Update.ID)
	}
	h.do(cvm, column.PowerStop)
	h.do(cvm, column.PowerStart)
	return cvm
}

func TestOperationsArePagedAndNewOnesDoNotMoveThePages(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.history("paged")
	h.history("another")
	whole := h.list(cvm, OperationsQuery{Limit: 100})
	if len(whole.Items) != 5 || whole.Total != 5 || whole.Next != "" {
		t.Fatalf("%d operations of %d, next %q", len(whole.Items), whole.Total, whole.Next)
	}
	if !slices.IsSortedFunc(whole.Items, func(a, b Operation) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
		t.Error("they are not newest first")
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		query := OperationsQuery{Limit: limit}
		for {
			page := h.list(cvm, query)
			got = append(got, ids(page)...)
			if len(page.Items) > limit {
				t.Fatalf("%d operations on a page of %d", len(page.Items), limit)
			}
			if page.Next == "" {
				break
			}
			query.Cursor = page.Next
			if limit == 2 {
				h.do(cvm, column.PowerRestart) // comes while somebody pages
			}
		}
		want := ids(h.list(cvm, OperationsQuery{Limit: 100}))
		if limit == 2 {
			want = ids(whole)
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %v, want %v", limit, got, want)
		}
	}
}

func TestOperationsTellWhatHappened(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.history("what-happened")
	kinds := map[string]int{}
	for _, o := range h.list(cvm, OperationsQuery{Limit: 100}).Items {
		kinds[o.Type]++
		if o.KeyName != "test" || o.CorrelationID == "" || o.FinishedAt.IsZero() || len(o.Events) < 2 {
			t.Errorf("%s %s: %+v", o.Type, o.ID, o)
		}
		if o.Succeeded != (o.Error == "") {
			t.Errorf("%s succeeded %v with error %q", o.Type, o.Succeeded, o.Error)
		}
		if want := map[string]string{api.OperationPowerOff: StatusStopped}[o.Type]; want != "" && o.Target != want {
			t.Errorf("%s leads to %s", o.Type, o.Target)
		}
	}
	want := map[string]int{api.OperationDeploy: 1, api.OperationComposeUpdate: 2, api.OperationPowerOff: 1, api.OperationPowerOn: 1}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d of type %s, want %d", kinds[kind], kind, n)
		}
		if page := h.list(cvm, OperationsQuery{Limit: 100, Types: []string{kind}}); len(page.Items) != n || int(page.Total) != n {
			t.Errorf("filter %s: %d of %d, want %d", kind, len(page.Items), page.Total, n)
		}
	}
	if page := h.list(cvm, OperationsQuery{Limit: 100, Types: []string{api.OperationPowerOff, api.OperationPowerOn}}); len(page.Items) != 2 {
		t.Errorf("two types: %d", len(page.Items))
	}
	_, err := h.service.Operations(context.Background(), h.alice, cvm.Row.HashID, OperationsQuery{Limit: 1, Types: []string{"resize"}})
	wantKind(t, err, problem.KindUnprocessable)
	for _, cursor := range []string{"x", "%%%", "MTI", place{}.String()} {
		_, err := h.service.Operations(context.Background(), h.alice, cvm.Row.HashID, OperationsQuery{Limit: 1, Cursor: cursor})
		wantKind(t, err, problem.KindUnprocessable)
	}
	_, err = h.service.Operations(context.Background(), h.bob, cvm.Row.HashID, OperationsQuery{Limit: 1})
	wantKind(t, err, problem.KindNotFound)
}

func TestOperationsOfATime(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("timed", api.KMSPhala)
	h.clock.advance(time.Hour)
	noon := h.clock.Now()
	h.do(cvm, column.PowerStop)
	h.clock.advance(time.Hour)
	h.do(cvm, column.PowerStart)
	for name, test := range map[string]struct {
		query OperationsQuery
		want  int
	}{
		"all":          {OperationsQuery{}, 3},
		"since":        {OperationsQuery{Since: noon}, 2},
		"until":        {OperationsQuery{Until: noon}, 2},
		"both":         {OperationsQuery{Since: noon, Until: noon}, 1},
		"in between":   {OperationsQuery{Since: noon.Add(time.Minute), Until: noon.Add(2 * time.Minute)}, 0},
		"wrong way up": {OperationsQuery{Since: noon, Until: noon.Add(-time.Hour)}, 0},
	} {
		test.query.Limit = 100
		if page := h.list(cvm, test.query); len(page.Items) != test.want || int(page.Total) != test.want {
			t.Errorf("%s: %d of %d, want %d", name, len(page.Items), page.Total, test.want)
		}
	}
}

func TestOperationStatus(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvm := h.create("what-runs", api.KMSPhala)
	if active, _, err := h.service.OperationStatus(ctx, h.alice, cvm.Row.HashID); err != nil || active != nil {
		t.Errorf("at rest: %+v, %v", active, err)
	}
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	active, cancellable, err := h.service.OperationStatus(ctx, h.alice, cvm.Row.HashID)
	must(t, err)
	if active == nil || active.CorrelationID != out.Accepted.Update.CorrelationID || active.State != "approved" || !cancellable || active.Reason == "" {
		t.Errorf("an update: %+v, cancellable %v", active, cancellable)
	}
	h.settle(out.Accepted.Update.ID)
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerShutdown})
	must(t, err)
	_, err = h.service.AdvancePower(ctx, op.ID)
	must(t, err)
	active, cancellable, err = h.service.OperationStatus(ctx, h.alice, cvm.Row.HashID)
	must(t, err)
	if active == nil || active.Type != api.OperationShutdown || active.State != "stopping" || cancellable {
		t.Errorf("a shutdown: %+v, cancellable %v", active, cancellable)
	}
}

func TestErrorsAreCutDownForKeysThatAreNoAdmin(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("secretive", api.KMSPhala)
	h.clock.advance(time.Second)
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	h.node.bootError = "cannot reach https://user:pw@kms.internal:9000/x\nDATABASE_PASSWORD=hunter2"
	h.settlePower(op.ID)
	updater := h.alice
	updater.Scopes = []Scope{ScopeUpdate}
	for who, see := range map[*Principal]bool{&h.alice: true, &updater: false} {
		page, err := h.service.Operations(context.Background(), *who, cvm.Row.HashID, OperationsQuery{Limit: 1})
		must(t, err)
		got := page.Items[0].Error
		if strings.Contains(got, "hunter2") != see || strings.Contains(got, "kms.internal") != see || !strings.Contains(got, "did not boot") {
			t.Errorf("admin %v sees %q", see, got)
		}
	}
}

func TestSanitise(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"it did not boot": "it did not boot",
		"service web: Exited (1), last lines:\nKEY=secret": "service web: Exited (1)",
		"dial tcp 10.1.2.3:9080: refused":                  "dial tcp (address): refused",
		"Post \"https://a.example:9080/prpc\": EOF":        "Post \"(address)\": EOF",
		"lookup tdx-1.example.org:443 failed":              "lookup (address) failed",
		"[::1]:80 refused":                                 "(address) refused",
		"healthy after 5m0s; 12:30:11":                     "healthy after 5m0s; 12:30:11",
		"bell\x07 and tab\t":                               "bell  and tab ",
		"the guest measured ab12, expected is cd34":        "the guest measured ab12, expected is cd34",
	} {
		if got := sanitise(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if long := sanitise(strings.Repeat("ä", 1000)); len(long) > maxSanitised+len("…") {
		t.Errorf("%d bytes are left", len(long))
	}
}

func FuzzParsePlace(f *testing.F) {
	f.Add(place{at: column.At(time.Unix(1, 0)), id: "upd_1"}.String())
	f.Add("MTI6")
	f.Fuzz(func(t *testing.T, cursor string) {
		c, err := parsePlace(cursor)
		if err != nil {
			return
		}
		again, err := parsePlace(c.String())
		if err != nil || again != c {
			t.Errorf("%q is %+v, and then %+v, %v", cursor, c, again, err)
		}
	})
}
