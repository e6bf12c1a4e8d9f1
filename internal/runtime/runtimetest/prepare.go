package runtimetest

import (
	"errors"
	"reflect"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// prepare checks the drivers that can get ready for a document while another one runs.
func prepare(b *bench) {
	preparer, ok := b.rt.(runtime.Preparer)
	if !ok {
		b.t.Log("this driver gets ready for nothing beforehand: nothing to check")
		return
	}
	ctx := b.patient()
	one, two, bad := b.document(Healthy, 1), b.document(Healthy, 2), b.document(BadBoot, 1)
	if err := preparer.Prepare(ctx, id, runtime.Config{Document: one}); !errors.Is(err, runtime.ErrNotFound) {
		b.t.Errorf("Prepare of an unknown CVM: %v, want ErrNotFound", err)
	}
	b.create(one)
	b.unchanged("Prepare of a stopped CVM", func() error { return preparer.Prepare(ctx, id, runtime.Config{Document: two}) })
	b.boot()
	for range 2 {
		b.unchanged("Prepare of a running CVM", func() error { return preparer.Prepare(ctx, id, runtime.Config{Document: two}) })
	}
	before := steady(b.status())
	err := preparer.Prepare(ctx, id, runtime.Config{Document: bad})
	if err == nil || errors.Is(err, runtime.ErrUnreachable) {
		b.t.Errorf("Prepare of what cannot boot: %v, want an error that says why", err)
	}
	if after := steady(b.status()); !reflect.DeepEqual(after, before) {
		b.t.Errorf("a Prepare that failed changed the status from\n%+v to\n%+v", before, after)
	}
	// It is no condition of what follows.
	b.halt()
	b.apply(two)
	b.checkHealthy(b.boot(), two)
}
