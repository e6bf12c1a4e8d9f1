package compat

import (
	"net/http"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/server/openapitest"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// client is the Go SDK against the cloud. Every response is validated against our OpenAPI document.
func (c *cloud) client(t *testing.T, options ...lockstep.Option) *lockstep.Client {
	t.Helper()
	options = append([]lockstep.Option{
		lockstep.WithBaseURL(c.APIURL), lockstep.WithAPIKey(c.APIKey),
		lockstep.WithHTTPClient(&http.Client{Transport: openapitest.Transport(t, nil)}),
	}, options...)
	client, err := lockstep.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// awaitRunning follows the event stream until the CVM runs.
func awaitRunning(t *testing.T, client *lockstep.Client, cvm string) {
	t.Helper()
	for event, err := range client.WatchCVMState(withPatience(t), cvm, lockstep.WatchOptions{}) {
		if err != nil {
			t.Fatalf("watch %s: %v", cvm, err)
		}
		if event.Name == api.EventComplete {
			return
		}
	}
	t.Fatalf("the watch of %s ended before the CVM ran", cvm)
}

// mustRun checks the invariant as far as it can be seen from outside: the CVM runs, its compose hash is
// the one wanted, and the bytes of its document have that hash and hold the file wanted.
func mustRun(t *testing.T, client *lockstep.Client, cvm, hash, compose string) {
	t.Helper()
	ctx := withPatience(t)
	detail, err := client.GetCVM(ctx, cvm)
	if err != nil {
		t.Fatal(err)
	}
	if detail.Status != api.StatusRunning || detail.ComposeHash == nil || hash != "" && *detail.ComposeHash != hash {
		t.Errorf("%s is %s with compose hash %v, want it to run %s", cvm, detail.Status, detail.ComposeHash, hash)
	}
	document, err := client.GetCVMComposeFile(ctx, cvm)
	if err != nil {
		t.Fatal(err)
	}
	if detail.ComposeHash != nil && document.Hash() != *detail.ComposeHash {
		t.Errorf("the document of %s has hash %s, and the CVM says %s", cvm, document.Hash(), *detail.ComposeHash)
	}
	text, err := client.GetDockerCompose(ctx, cvm)
	if err != nil || text != compose {
		t.Errorf("%s runs %q, %v, want %q", cvm, text, err, compose)
	}
}

// owner is the person who owns the apps, with a connection to the chain.
type owner struct {
	chain *ethclient.Client
	write onchain.WriteOptions
}

func (c *cloud) owner(t *testing.T) *owner {
	t.Helper()
	chain, err := onchain.Dial(t.Context(), onchain.ChainConfig{ChainID: c.ChainID, RPCURLs: []string{c.RPCURL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Close)
	return &owner{chain, onchain.WriteOptions{Backend: chain, ChainID: c.ChainID, PrivateKeyHex: c.OwnerKey}}
}

// approve registers a compose hash on an app's contract and returns the transaction.
func (o *owner) approve(t *testing.T, appID, hash string) string {
	t.Helper()
	result, err := onchain.AddComposeHash(withPatience(t), onchain.AddComposeHashRequest{
		WriteOptions: o.write, AppID: parseApp(t, appID), ComposeHash: parseHash(t, hash),
	})
	if err != nil {
		t.Fatal(err)
	}
	return result.TransactionHash.Hex()
}

func (o *owner) remove(t *testing.T, appID, hash string) {
	t.Helper()
	if _, err := onchain.RemoveComposeHash(withPatience(t), o.write, parseApp(t, appID), parseHash(t, hash)); err != nil {
		t.Fatal(err)
	}
}

func (o *owner) allows(t *testing.T, appID, hash string) bool {
	t.Helper()
	allowed, err := onchain.IsComposeHashAllowed(withPatience(t), o.chain, parseApp(t, appID), parseHash(t, hash))
	if err != nil {
		t.Fatal(err)
	}
	return allowed
}

func parseApp(t *testing.T, appID string) common.Address {
	t.Helper()
	address, err := onchain.ParseAppID(appID)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func parseHash(t *testing.T, hash string) common.Hash {
	t.Helper()
	parsed, err := onchain.ParseComposeHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// propose is phase 1 of an update that needs the owner.
func propose(t *testing.T, client *lockstep.Client, cvm, compose string) *lockstep.Precondition {
	t.Helper()
	result, err := client.UpdateDockerCompose(withPatience(t), cvm, compose)
	if err != nil {
		t.Fatal(err)
	}
	need, ok := result.(*lockstep.Precondition)
	if !ok {
		t.Fatalf("phase 1 of %s gave %T, want a precondition", cvm, result)
	}
	return need
}

// inProgress demands that an update was accepted, and returns its correlation id.
func inProgress(t *testing.T, result lockstep.UpdateResult, err error) string {
	t.Helper()
	accepted, ok := result.(*lockstep.InProgress)
	if err != nil || !ok || accepted.CorrelationID == "" {
		t.Fatalf("got %T %+v, %v, want an update in progress", result, result, err)
	}
	return accepted.CorrelationID
}
