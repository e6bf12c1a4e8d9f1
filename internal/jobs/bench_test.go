package jobs

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// waiting is a Handler whose runs wait until the test lets them go, as rollouts wait for their nodes.
type waiting struct {
	began chan struct{}
	gate  chan struct{}
}

func (h waiting) Run(ctx context.Context, _ string) error {
	h.began <- struct{}{}
	select {
	case <-h.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h waiting) RunRollout(context.Context, string) error { return nil }
func (waiting) RunPower(context.Context, string) error     { return nil }
func (h waiting) Sweep(context.Context) error              { return nil }

func benchmarkOnEach(b *testing.B, f func(b *testing.B, s *store.Store)) {
	for name, databaseURL := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(b.Context(), databaseURL(b))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			f(b, s)
		})
	}
}

func benchmarkQueue(b *testing.B, s *store.Store, h Handler) *Queue {
	q, err := New(Config{Store: s})
	if err != nil {
		b.Fatal(err)
	}
	if err := q.Start(b.Context(), h); err != nil {
		b.Fatal(err)
	}
	return q
}

// BenchmarkPickUp is the time from the commit of a job to its work; the median is what a person waits.
func BenchmarkPickUp(b *testing.B) {
	benchmarkOnEach(b, func(b *testing.B, s *store.Store) {
		h := waiting{make(chan struct{}), make(chan struct{})}
		close(h.gate)
		q := benchmarkQueue(b, s, h)
		var times []time.Duration
		for i := 0; b.Loop(); i++ {
			err := s.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error { return q.EnqueueAdvance(ctx, tx, strconv.Itoa(i)) })
			if err != nil {
				b.Fatal(err)
			}
			committed := time.Now()
			<-h.began
			times = append(times, time.Since(committed))
		}
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
		if err := q.Stop(context.Background()); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkCapacity has ever more jobs under way at once, all of which wait.
func BenchmarkCapacity(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			benchmarkOnEach(b, func(b *testing.B, s *store.Store) {
				h := waiting{make(chan struct{}, n), make(chan struct{})}
				q := benchmarkQueue(b, s, h)
				for b.Loop() {
					for i := 0; i < n; i += 50 {
						err := s.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error {
							for j := i; j < min(i+50, n); j++ {
								if err := q.EnqueueAdvance(ctx, tx, strconv.Itoa(j)); err != nil {
									return err
								}
							}
							return nil
						})
						if err != nil {
							b.Fatal(err)
						}
					}
					for range n {
						<-h.began
					}
					for range n {
						h.gate <- struct{}{}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/job")
				if err := q.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
