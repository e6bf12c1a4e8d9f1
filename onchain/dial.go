package onchain

import (
	"context"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"
)

// ChainConfig says how a chain is reached.
type ChainConfig struct {
	// ChainID is the id that every endpoint must have; 0 accepts any.
	ChainID uint64
	// RPCURLs are tried in order. When one does not answer, or answers 429 or
	// 5xx, the next one takes over and is kept until it fails in turn. Several
	// URLs must all be http or https; a single one may also be ws, wss or the
	// path of an IPC socket.
	RPCURLs []string
	// Timeout bounds one request to one endpoint. Default 30 s.
	Timeout time.Duration
	// Transport carries the HTTP requests. Default http.DefaultTransport.
	Transport http.RoundTripper
}

// Dial returns a client of the chain. HTTP endpoints are first contacted when
// they are first used, so that a program can start while its node is down; an
// endpoint of another chain is then a WrongChainError and is never asked
// anything else. Error texts name hosts only: URLs often contain credentials.
func Dial(ctx context.Context, cfg ChainConfig) (*ethclient.Client, error) {
	if len(cfg.RPCURLs) == 0 {
		return nil, &InputError{Field: "RPC URLs", Want: "at least one"}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Transport == nil {
		cfg.Transport = http.DefaultTransport
	}
	var endpoints []*endpoint
	for _, text := range cfg.RPCURLs {
		target, err := url.Parse(text)
		if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
			if len(cfg.RPCURLs) == 1 && err == nil {
				return dialSocket(ctx, text, cfg.ChainID)
			}
			return nil, &InputError{Field: "RPC URL", Want: "http:// or https:// and a host"}
		}
		endpoints = append(endpoints, &endpoint{url: target, verified: cfg.ChainID == 0})
	}
	transport := &failover{
		endpoints: endpoints,
		chainID:   new(big.Int).SetUint64(cfg.ChainID),
		timeout:   cfg.Timeout,
		next:      cfg.Transport,
	}
	// The host is a placeholder: the transport puts each endpoint's URL in.
	client, err := rpc.DialOptions(ctx, "http://chain", rpc.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		return nil, &RPCError{Op: "dial", Err: err}
	}
	return ethclient.NewClient(client), nil
}

// dialSocket connects at once, as a socket must.
func dialSocket(ctx context.Context, target string, want uint64) (*ethclient.Client, error) {
	client, err := ethclient.DialContext(ctx, target)
	if err != nil {
		return nil, &RPCError{Op: "dial", Err: err}
	}
	if want == 0 {
		return client, nil
	}
	have, err := client.ChainID(ctx)
	if err != nil {
		client.Close()
		return nil, &RPCError{Op: "read chain id", Err: err}
	}
	if wanted := new(big.Int).SetUint64(want); have.Cmp(wanted) != 0 {
		client.Close()
		return nil, &WrongChainError{Have: have, Want: wanted}
	}
	return client, nil
}
