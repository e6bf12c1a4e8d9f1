package control

import (
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// ended is what an observer was told.
type ended struct {
	kind   column.UpdateKind
	result column.UpdateState
	took   time.Duration
}

type listObserver struct{ told []ended }

func (o *listObserver) UpdateEnded(kind column.UpdateKind, result column.UpdateState, took time.Duration) {
	o.told = append(o.told, ended{kind, result, took})
}

// TestObserverIsToldOfEachEnd wants one call for an accepted update, with the time since it was accepted, and none for
// a proposal that nobody approved.
func TestObserverIsToldOfEachEnd(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	observer := &listObserver{}
	h.service.observer = observer
	cvm := h.create("observed", api.KMSEthereum)
	if len(observer.told) != 1 || observer.told[0].kind != column.KindDeploy || observer.told[0].result != column.Succeeded {
		t.Fatalf("after the first boot the observer was told %v, want one deploy that succeeded", observer.told)
	}

	h.propose(cvm, yamlNumber(2))
	h.clock.advance(time.Hour) // the owner takes his time, which is not the update's
	h.propose(cvm, yamlNumber(3))
	h.clock.advance(time.Hour)
	need := h.propose(cvm, yamlNumber(4))
	tx := h.chain.add(cvm.Row.AppID, need.Update.ComposeHash)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(4), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	h.clock.advance(3 * time.Second)
	h.settle(out.Accepted.Update.ID)
	if len(observer.told) != 2 {
		t.Fatalf("the observer was told %v, want one more end", observer.told)
	}
	last := observer.told[1]
	if last.kind != column.KindUpdate || last.result != column.Succeeded || last.took < 3*time.Second || last.took > time.Minute {
		t.Errorf("the observer was told %v, want an update that succeeded a few seconds after it was accepted", last)
	}
}
