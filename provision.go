package lockstep

import (
	"context"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
)

// ProvisionCVM is the first of two calls that create a CVM: it fixes the app-compose document and its
// hash and chooses a node. Nothing is started.
//
// API: POST /cvms/provision
func (c *Client) ProvisionCVM(ctx context.Context, in *api.ProvisionRequest) (*api.ProvisionResponse, error) {
	if err := api.ValidateCVMName(in.Name); err != nil {
		return nil, err
	}
	if err := checkCompose(in.ComposeFile.DockerComposeFile); err != nil && (in.ComposeFile.Runner == nil || *in.ComposeFile.Runner != "bash") {
		return nil, err
	}
	var out api.ProvisionResponse
	if err := c.call(ctx, request{method: http.MethodPost, path: "/cvms/provision"}, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// CommitCVMProvision is the second call that creates a CVM: it starts what was provisioned under the
// compose hash. With the same app id and hash it may be repeated.
//
// API: POST /cvms
func (c *Client) CommitCVMProvision(ctx context.Context, in *api.CommitRequest) (*api.CommitResponse, error) {
	if _, err := api.ParseAppID("app_id", in.AppID); err != nil {
		return nil, err
	}
	if _, err := api.ParseHash("compose_hash", in.ComposeHash); err != nil {
		return nil, err
	}
	var out api.CommitResponse
	if err := c.call(ctx, request{method: http.MethodPost, path: "/cvms"}, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
