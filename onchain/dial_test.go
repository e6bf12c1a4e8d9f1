package onchain_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// rpcServer counts the requests it gets.
type rpcServer struct {
	*httptest.Server
	asked atomic.Int64
}

func serve(t *testing.T, handler func(w http.ResponseWriter, r *http.Request)) *rpcServer {
	t.Helper()
	s := &rpcServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func answering(t *testing.T, result string) *rpcServer {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":`+result+`}`)
	})
}

func failing(t *testing.T, status int) *rpcServer {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func startChain(t *testing.T) *devchain.Chain {
	t.Helper()
	chain, err := devchain.Start(t.Context(), devchain.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	})
	return chain
}

func TestDialFallsBack(t *testing.T) {
	chain := startChain(t)
	for name, broken := range map[string]string{
		"nobody there":  "http://127.0.0.1:1",
		"server error":  failing(t, http.StatusBadGateway).URL,
		"rate limit":    failing(t, http.StatusTooManyRequests).URL,
		"another chain": answering(t, `"0x2105"`).URL,
		"not JSON-RPC":  serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }).URL,
	} {
		t.Run(name, func(t *testing.T) {
			client, err := onchain.Dial(t.Context(), onchain.ChainConfig{
				ChainID: devchain.DefaultChainID, RPCURLs: []string{broken, chain.RPCURL()},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if number, err := client.BlockNumber(t.Context()); err != nil || number != 1 {
				t.Errorf("block %d, %v", number, err)
			}
		})
	}
}

// hangs answers nothing for its host, until the request's time is over. Other
// hosts get all the time they want, so that the test does not depend on speed.
type hangs string

func (h hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == string(h) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return http.DefaultTransport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

func TestDialGivesUpOnASilentEndpoint(t *testing.T) {
	chain := startChain(t)
	client, err := onchain.Dial(t.Context(), onchain.ChainConfig{
		ChainID: devchain.DefaultChainID, RPCURLs: []string{"http://silent", chain.RPCURL()},
		Timeout: time.Millisecond, Transport: hangs("silent"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.BlockNumber(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if number, err := client.BlockNumber(t.Context()); err != nil || number != 1 {
		t.Errorf("block %d, %v", number, err)
	}
}

func TestDialKeepsWhatAnswers(t *testing.T) {
	chain := startChain(t)
	broken := failing(t, http.StatusInternalServerError)
	client, err := onchain.Dial(t.Context(), onchain.ChainConfig{RPCURLs: []string{broken.URL, chain.RPCURL()}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 5 {
		if _, err := client.BlockNumber(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked := broken.asked.Load(); asked != 1 {
		t.Errorf("the broken endpoint was asked %d times, want once", asked)
	}
}

// Dial itself needs no node: a server must start while its node is down. What
// comes then names no secret.
func TestDialOfBrokenEndpoints(t *testing.T) {
	wrong := answering(t, `"0x2105"`)
	secret := strings.Replace(failing(t, http.StatusServiceUnavailable).URL, "http://", "http://user:hunter2@", 1) + "/v3/hunter2"
	client, err := onchain.Dial(t.Context(), onchain.ChainConfig{ChainID: 1337, RPCURLs: []string{secret, wrong.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = onchain.IsComposeHashAllowed(t.Context(), client, device20, hash)
	var other *onchain.WrongChainError
	if !errors.As(err, &other) || other.Have.Int64() != 0x2105 {
		t.Errorf("error %v does not tell of the wrong chain", err)
	}
	if !errors.Is(err, onchain.ErrRPC) {
		t.Errorf("error %v gives up on the endpoint that is down", err)
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error tells a secret: %v", err)
	}
	if asked := wrong.asked.Load(); asked != 1 {
		t.Errorf("the endpoint of another chain was asked %d times, want only for its id", asked)
	}

	client, err = onchain.Dial(t.Context(), onchain.ChainConfig{ChainID: 1337, RPCURLs: []string{wrong.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err = onchain.AppOwner(t.Context(), client, device20); !errors.Is(err, onchain.ErrWrongChain) || errors.Is(err, onchain.ErrRPC) {
		t.Errorf("error %v, want ErrWrongChain that no retry helps", err)
	}

	client, err = onchain.Dial(t.Context(), onchain.ChainConfig{RPCURLs: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err = onchain.AppOwner(t.Context(), client, device20); !errors.Is(err, onchain.ErrRPC) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want ErrRPC without a secret", err)
	}
}

func TestDialSendsCredentials(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "me" || password != "secret" || r.URL.Path != "/key" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":"0x539"}`)
	})
	client, err := onchain.Dial(t.Context(), onchain.ChainConfig{RPCURLs: []string{strings.Replace(server.URL, "http://", "http://me:secret@", 1) + "/key"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if id, err := client.ChainID(t.Context()); err != nil || id.Int64() != 1337 {
		t.Errorf("chain id %s, %v", id, err)
	}
}

func TestDialRefuses(t *testing.T) {
	for name, urls := range map[string][]string{
		"nothing":         nil,
		"no scheme":       {"localhost:8545", "http://localhost"},
		"socket in list":  {"ws://localhost:1", "http://localhost"},
		"no host":         {"http://", "http://localhost"},
		"control symbols": {"http://\x7f"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := onchain.Dial(t.Context(), onchain.ChainConfig{RPCURLs: urls}); !errors.Is(err, onchain.ErrInvalidInput) {
				t.Errorf("error %v, want ErrInvalidInput", err)
			}
		})
	}
	if _, err := onchain.Dial(t.Context(), onchain.ChainConfig{RPCURLs: []string{"ws://127.0.0.1:1"}}); !errors.Is(err, onchain.ErrRPC) {
		t.Errorf("socket of nobody: %v, want ErrRPC", err)
	}
}
