package appcompose_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestCheckerGivesTheSameVerdicts(t *testing.T) {
	for _, size := range []int{-1, 0, 1, 3} {
		c := appcompose.NewChecker(size)
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := range 12 {
					text := fmt.Sprintf("services:\n  s%d: {image: a}\n", (i*worker)%5)
					if err := c.Check(t.Context(), []byte(text), appcompose.CheckOptions{}); err != nil {
						t.Errorf("size %d: %v", size, err)
					}
					if err := c.Check(t.Context(), []byte(text+"x: 1\n"), appcompose.CheckOptions{}); !errors.Is(err, appcompose.ErrInvalidCompose) {
						t.Errorf("size %d: got %v, want a ComposeError", size, err)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestCheckerStillChecksSizeAndContext(t *testing.T) {
	c := appcompose.NewChecker(1)
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Check(ctx, []byte(smallCompose), appcompose.CheckOptions{}); err != nil {
		t.Fatal(err)
	}
	script := appcompose.CheckOptions{PreLaunchScript: strings.Repeat("x", appcompose.MaxComposeSize)}
	if err := c.Check(ctx, []byte(smallCompose), script); !errors.Is(err, appcompose.ErrTooLarge) {
		t.Errorf("got %v, want a SizeError", err)
	}
	cancel()
	if err := c.Check(ctx, []byte(smallCompose), appcompose.CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func BenchmarkCheckerKnownText(b *testing.B) {
	c := appcompose.NewChecker(16)
	text := []byte(smallCompose)
	for b.Loop() {
		if err := c.Check(b.Context(), text, appcompose.CheckOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
