package runtimetest

import (
	"errors"
	"sync"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func twentyUpdates(b *bench) {
	doc := b.document(Healthy, 1)
	b.create(doc)
	first := b.boot()
	b.checkHealthy(first, doc)
	for version := 2; version <= 21; version++ {
		doc = b.document(Healthy, version)
		b.halt()
		b.apply(doc)
		s := b.boot()
		b.checkHealthy(s, doc)
		if s.InstanceID != first.InstanceID {
			b.t.Fatalf("version %d has instance id %s, want %s as before", version, s.InstanceID, first.InstanceID)
		}
	}
}

// twoUpdatesAtOnce lets two callers race to update one CVM, each going back to the stop when the other
// one got in between. Each document boots whole or not at all.
func twoUpdatesAtOnce(b *bench) {
	zero, one, two := b.document(Healthy, 0), b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(zero)
	b.boot()
	ctx := b.patient()
	update := func(document []byte) error {
		for {
			if err := b.rt.Stop(ctx, id, runtime.StopOptions{}); err != nil {
				return err
			}
			notStopping := func(s runtime.Status) bool { return s.State != runtime.StateStopping }
			if _, err := runtime.Await(ctx, b.rt, id, b.harness.Poll, notStopping); err != nil {
				return err
			}
			err := b.rt.Apply(ctx, id, runtime.Config{Document: document})
			if err == nil {
				err = b.rt.Start(ctx, id)
			}
			if !errors.Is(err, runtime.ErrConflict) {
				return err
			}
		}
	}
	var wait sync.WaitGroup
	for _, document := range [][]byte{one, two} {
		wait.Go(func() {
			if err := update(document); err != nil {
				b.t.Errorf("update: %v", err)
			}
		})
	}
	wait.Wait()
	b.start()
	s := b.await(settled)
	if s.RunningHash == appcompose.Hash(one) {
		b.checkHealthy(s, one)
	} else {
		b.checkHealthy(s, two)
	}
}

func concurrentStatus(b *bench) {
	docs := [][]byte{b.document(Healthy, 1), b.document(Healthy, 2)}
	b.create(docs[0])
	b.boot()
	known := map[appcompose.ComposeHash]bool{{}: true, appcompose.Hash(docs[0]): true, appcompose.Hash(docs[1]): true}
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s, err := b.rt.Status(b.t.Context(), id)
				if err != nil {
					b.t.Errorf("Status: %v", err)
					return
				}
				if !known[s.RunningHash] || !known[s.NextHash] || s.NextHash.IsZero() {
					b.t.Errorf("Status tells of hashes nobody gave: running %s, next %s", s.RunningHash, s.NextHash)
					return
				}
				if down := s.State == runtime.StateStopped || s.State == runtime.StateExited; down && !s.RunningHash.IsZero() {
					b.t.Errorf("running hash is %s while %s, want zero", s.RunningHash, s.State)
					return
				}
			}
		})
	}
	for i := range 6 {
		b.halt()
		b.apply(docs[(i+1)%2])
		b.boot()
	}
	close(done)
	wait.Wait()
}

func concurrentCreate(b *bench) {
	docs := [][]byte{b.document(Healthy, 1), b.document(Healthy, 2)}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			if err := b.rt.Create(b.t.Context(), spec(id, docs[i%2])); err != nil {
				b.t.Errorf("Create: %v", err)
			}
		})
	}
	wait.Wait()
	s := b.boot()
	if s.RunningHash == appcompose.Hash(docs[0]) {
		b.checkHealthy(s, docs[0])
	} else {
		b.checkHealthy(s, docs[1])
	}
}
