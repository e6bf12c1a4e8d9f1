package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"charm.land/fang/v2"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

func TestPrintError(t *testing.T) {
	refusal := &lockstep.APIError{
		Operation: "PATCH /cvms/x/docker-compose", StatusCode: 466, ErrorCode: api.CodeHashInvalidOrExpired,
		Message: "the proposal has expired", RequestID: "req-1",
		Details: []api.ErrorDetail{
			{Field: "compose_hash", Value: json.RawMessage(`"aabb"`)},
			{Field: "docker_compose_file", Value: json.RawMessage(`{"line":3}`), Message: "unknown key"},
			{Field: "nothing", Value: json.RawMessage("null")},
		},
		Suggestions: []string{"Repeat phase 1.", "Send the same bytes."},
		Links:       []api.ErrorLink{{Label: "Read on", URL: "https://docs.example/466"}},
	}
	const shown = `error: PATCH /cvms/x/docker-compose: 466 ERR-01-006: the proposal has expired (request req-1)
  compose_hash: aabb
  docker_compose_file: unknown key
  -> Repeat phase 1.
  -> Send the same bytes.
  Read on: https://docs.example/466
`
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("no such file"), "error: no such file\n"},
		{"said everything itself", exitError(3), ""},
		{"refusal", refusal, shown},
		{"refusal inside", fmt.Errorf("update: %w", refusal), "error: update: lockstep: " + shown[len("error: "):]},
		{
			"validation",
			&lockstep.APIError{Operation: "POST /cvms", StatusCode: 422, Message: "name: too long",
				Validation: []api.ValidationItem{{Loc: api.List[any]{"body", "name"}, Msg: "too long"}}},
			"error: POST /cvms: 422: name: too long\n  name: too long\n",
		},
		{
			"of the domain",
			problem.New(problem.KindInvalid, "", "unknown scope").With("scope", "all", "read, update or admin").Suggest("Leave it out."),
			"error: unknown scope\n  scope: all, want read, update or admin\n  -> Leave it out.\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			printError(&out, fang.Styles{}, tt.err)
			if out.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tt.want)
			}
		})
	}
}
