package lockstep

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
)

// lossyServer carries requests out but breaks the connection of the first answers.
type lossyServer struct {
	mu   sync.Mutex
	lose int
	keys []string
	next http.Handler
}

func (s *lossyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	lose := s.lose > 0
	s.lose--
	if r.Method != http.MethodGet {
		s.keys = append(s.keys, r.Header.Get(api.HeaderIdempotencyKey))
	} else if r.Header.Get(api.HeaderIdempotencyKey) != "" {
		s.keys = append(s.keys, "a GET with a key")
	}
	s.mu.Unlock()
	if lose {
		panic(http.ErrAbortHandler)
	}
	s.next.ServeHTTP(w, r)
}

func lossyClient(t *testing.T, server *lossyServer) *Client {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	client, err := NewClient(WithAPIKey("key"), WithBaseURL(listener.URL), WithClock(&fakeClock{}))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// restart forgets the keys that came, returns them, and loses the next answers.
func (s *lossyServer) restart(lose int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys
	s.keys, s.lose = nil, lose
	return keys
}

func TestWritesAreRepeatedOnlyWithAKey(t *testing.T) {
	server := &lossyServer{next: newFakeCloud(), lose: 1}
	client := lossyClient(t, server)
	_, err := client.UpdateDockerCompose(t.Context(), "my-app", oldCompose)
	keys := server.restart(2)
	if _, ok := errors.AsType[*TransportError](err); !ok || len(keys) != 1 || keys[0] != "" {
		t.Fatalf("without a key: %v after %q", err, keys)
	}
	ctx := ContextWithIdempotencyKey(t.Context(), "run-1")
	if _, err := client.UpdateDockerCompose(ctx, "my-app", oldCompose); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(server.restart(0), " "); got != "run-1 run-1 run-1" {
		t.Errorf("keys = %s", got)
	}
	_, err = client.GetCVM(ctx, "my-app")
	if keys := server.restart(0); err != nil || len(keys) != 0 {
		t.Errorf("a read: %v %q", err, keys)
	}
	for _, key := range []string{"a key", "ключ", strings.Repeat("x", 256)} {
		_, err := client.UpdateDockerCompose(ContextWithIdempotencyKey(t.Context(), key), "my-app", oldCompose)
		if _, ok := errors.AsType[*FieldError](err); !ok {
			t.Errorf("%.10q: %v", key, err)
		}
	}
}

func TestApplyGivesEachRequestItsOwnKey(t *testing.T) {
	cloud := newFakeCloud()
	server := &lossyServer{next: cloud}
	client := lossyClient(t, server)
	const compose = "services: {}\n"
	if _, err := client.Apply(t.Context(), ApplyRequest{CVM: "my-app", Compose: compose, Approver: cloud, IdempotencyKey: "run-1"}); err != nil {
		t.Fatal(err)
	}
	keys := server.restart(0)
	if len(keys) != 2 || keys[0] == keys[1] || !strings.HasPrefix(keys[0], "run-1-") || !strings.HasPrefix(keys[1], "run-1-") {
		t.Errorf("keys of the two phases: %q", keys)
	}
}
