package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func TestSpecValidate(t *testing.T) {
	good := runtime.Spec{ID: "5b1f0d6e-1f6b-4f0e-8a55-0a4c3f7e9b21", AppID: strings.Repeat("0a", 20)}
	if err := good.Validate(); err != nil {
		t.Fatalf("Validate: %v", err)
	}
	for field, change := range map[string]func(*runtime.Spec){
		"Spec.ID":    func(s *runtime.Spec) { s.ID += "\n" },
		"Spec.AppID": func(s *runtime.Spec) { s.AppID = strings.ToUpper(s.AppID) },
	} {
		wrong := good
		change(&wrong)
		err := wrong.Validate()
		var got *runtime.FieldError
		if !errors.As(err, &got) || got.Field != field || !errors.Is(err, runtime.ErrInvalid) {
			t.Errorf("Validate: %v, want an error about %s", err, field)
		}
	}
}
