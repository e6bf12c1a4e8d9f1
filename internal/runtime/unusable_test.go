package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func TestUnusableSaysWhy(t *testing.T) {
	broken := runtime.Unusable{Driver: "dstack", Reason: "token_file: no such file"}
	calls := map[string]func(runtime.Runtime) error{
		"create": func(r runtime.Runtime) error { return r.Create(t.Context(), runtime.Spec{}) },
		"apply":  func(r runtime.Runtime) error { return r.Apply(t.Context(), "x", runtime.Config{}) },
		"start":  func(r runtime.Runtime) error { return r.Start(t.Context(), "x") },
		"stop":   func(r runtime.Runtime) error { return r.Stop(t.Context(), "x", runtime.StopOptions{}) },
		"status": func(r runtime.Runtime) error { _, err := r.Status(t.Context(), "x"); return err },
		"logs":   func(r runtime.Runtime) error { _, err := r.Logs(t.Context(), "x", runtime.LogOptions{}); return err },
		"probe":  func(r runtime.Runtime) error { _, err := r.(runtime.Prober).Probe(t.Context()); return err },
		"remove": func(r runtime.Runtime) error { return r.Remove(t.Context(), "x") },
	}
	for name, call := range calls {
		if err := call(broken); !errors.Is(err, runtime.ErrUnreachable) || !strings.Contains(err.Error(), broken.Reason) {
			t.Errorf("%s: %v, want ErrUnreachable with the reason", name, err)
		}
	}
	gone := runtime.Unusable{Driver: "sim", Reason: "removed", Gone: true}
	for name, call := range calls {
		if err := call(gone); (err == nil) != (name == "remove") {
			t.Errorf("%s on a machine that is gone: %v", name, err)
		}
	}
	if gone.Info().Driver != "sim" || gone.Close() != nil {
		t.Error("it does not pass as a driver")
	}
}
