package onchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// failover sends each JSON-RPC request to the first endpoint that answers. All
// requests of the package may be repeated safely: reads change nothing, and a
// signed transaction counts once however often it is sent.
type failover struct {
	endpoints []*endpoint
	current   atomic.Int64 // index of the endpoint that answered last
	chainID   *big.Int
	timeout   time.Duration
	next      http.RoundTripper
}

type endpoint struct {
	url      *url.URL
	mu       sync.Mutex
	verified bool // serves the right chain
}

// RoundTrip implements http.RoundTripper.
func (f *failover) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := readBody(request)
	if err != nil {
		return nil, err
	}
	var failures []error
	first := int(f.current.Load())
	for i := range f.endpoints {
		index := (first + i) % len(f.endpoints)
		target := f.endpoints[index]
		response, err := f.ask(request.Context(), target, request.Header, body)
		if err == nil {
			f.current.Store(int64(index))
			return response, nil
		}
		if request.Context().Err() != nil {
			return nil, err
		}
		if !errors.Is(err, ErrWrongChain) {
			err = &RPCError{Op: "ask " + target.url.Host, Err: err}
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// ask sends the body to one endpoint, after making sure once that it serves the
// right chain: a wrong URL in a list must not turn into wrong answers.
func (f *failover) ask(ctx context.Context, target *endpoint, header http.Header, body []byte) (*http.Response, error) {
	if err := f.verify(ctx, target, header); err != nil {
		return nil, err
	}
	answer, response, err := f.post(ctx, target, header, body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, nil
}

func (f *failover) verify(ctx context.Context, target *endpoint, header http.Header) error {
	target.mu.Lock()
	defer target.mu.Unlock()
	if target.verified {
		return nil
	}
	answer, _, err := f.post(ctx, target, header, //nolint:bodyclose // post reads and closes it
		[]byte(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`))
	if err != nil {
		return err
	}
	var reply struct {
		Result *hexutil.Big `json:"result"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil || reply.Result == nil {
		return errors.New("no chain id in the answer to eth_chainId")
	}
	if have := reply.Result.ToInt(); have.Cmp(f.chainID) != 0 {
		return &WrongChainError{Have: have, Want: f.chainID}
	}
	target.verified = true
	return nil
}

// post returns the whole answer: the time limit covers its body too.
func (f *failover) post(ctx context.Context, target *endpoint, header http.Header, body []byte) ([]byte, *http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	address := *target.url
	user := address.User
	address.User = nil
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header = header.Clone()
	if user != nil {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	response, err := f.next.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 {
		return nil, nil, fmt.Errorf("HTTP status %s", response.Status)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, err
	}
	return answer, response, nil
}

func readBody(request *http.Request) ([]byte, error) {
	if request.Body == nil {
		return nil, nil
	}
	defer request.Body.Close()
	return io.ReadAll(request.Body)
}
