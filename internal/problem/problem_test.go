package problem

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
)

func TestErrorIsFoundThroughWrapping(t *testing.T) {
	p := New(KindHashInvalid, api.CodeHashInvalidOrExpired, "hash %s is unknown", "ab").
		With("compose_hash", "ab", "64 hex digits").Suggest("Repeat phase %d.", 1).Because(io.ErrUnexpectedEOF)
	err := fmt.Errorf("update: %w", p)
	if KindOf(err) != KindHashInvalid || !Is(err, KindHashInvalid) || Is(err, KindBusy) {
		t.Errorf("kind of %v is %s", err, KindOf(err))
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if p.Error() != "hash ab is unknown: unexpected EOF" || p.Suggestions[0] != "Repeat phase 1." || p.Details[0].Field != "compose_hash" {
		t.Errorf("error = %+v", p)
	}
}

func TestOtherErrorsAreInternal(t *testing.T) {
	if KindOf(io.EOF) != KindInternal || Is(io.EOF, KindInternal) || Is(nil, KindInternal) {
		t.Error("an error of another type was taken for one of the domain")
	}
}
