package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// refusal is the error that a request has to end with.
type refusal struct {
	status int
	code   api.ErrorCode // empty: the answer must have none
	says   string        // part of the message
}

// refused shows the error of a request and makes sure that it is the right one, and tells what to do next
// where the API has room for that.
func (s *story) refused(err error, want refusal) (string, error) {
	got, ok := errors.AsType[*lockstep.APIError](err)
	switch {
	case err == nil:
		return "", fmt.Errorf("the request was accepted, want %d", want.status)
	case !ok:
		return "", fmt.Errorf("want an answer of the API with status %d: %w", want.status, err)
	}
	s.page.say(control, "%d %s: %s", got.StatusCode, orNone(got.ErrorCode), got.Message)
	s.suggest(got.Suggestions)
	problems := []error{
		same("the status", want.status, got.StatusCode),
		same("the error code", want.code, got.ErrorCode),
	}
	if !strings.Contains(got.Message, want.says) {
		problems = append(problems, fmt.Errorf("the message is %q, want it to say %q", got.Message, want.says))
	}
	if want.code != "" && len(got.Suggestions) == 0 {
		problems = append(problems, errors.New("the error says nothing about what to do next"))
	}
	return fmt.Sprintf("%d %s: %s", got.StatusCode, orNone(got.ErrorCode), got.Message), errors.Join(problems...)
}

func orNone(code api.ErrorCode) string {
	if code == "" {
		return "(no code)"
	}
	return string(code)
}

func (s *story) suggest(suggestions []string) {
	for _, text := range suggestions {
		s.page.say("", "%s%s", arrow, text)
	}
}

// patch sends an update as any HTTP client would, without the SDK, which refuses some of them by itself.
// An empty key sends none. The error is an *lockstep.APIError like those of the SDK.
func (s *story) patch(ctx context.Context, cvm, key, body string) error {
	path := "/cvms/" + cvm + "/docker-compose"
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, s.ready.APIURL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", api.MediaTypeYAML)
	if key != "" {
		request.Header.Set(api.HeaderAPIKey, key)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode < http.StatusBadRequest {
		return nil
	}
	e := api.DecodeError(response.StatusCode, answer)
	return &lockstep.APIError{
		Operation: http.MethodPatch + " " + path, StatusCode: response.StatusCode, Message: e.Message, ErrorCode: e.ErrorCode,
		RequestID: e.RequestID, Suggestions: e.Suggestions, Body: string(answer), Headers: response.Header,
	}
}
