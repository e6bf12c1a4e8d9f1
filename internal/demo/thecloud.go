package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/onchain"
)

const (
	cloudStarts = "the cloud starts: control plane, SQLite on disk, chain with contracts, node"
	cloudAnswer = "API and JSON-RPC answer over HTTP"
	bothRun     = "both CVMs run the Compose file from examples/, byte for byte"
	cloudStops  = "the cloud stops in order and leaves nothing behind"
)

func (s *story) theCloud() chapter {
	return chapter{"A cloud on this machine", []step{
		{cloudStarts, nil, s.start},
		{cloudAnswer, []string{cloudStarts}, s.answer},
		{bothRun, []string{cloudAnswer}, s.bothRun},
	}}
}

func (s *story) theEnd() chapter {
	return chapter{"The end", []step{
		{cloudStops, []string{cloudStarts}, func(ctx context.Context) (string, error) {
			dir := s.dir
			if err := s.shut(ctx); err != nil {
				return "", err
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				return "", errors.Join(errors.New("its folder is still there"), err)
			}
			return "stopped, and its folder is gone", nil
		}},
	}}
}

func (s *story) start(ctx context.Context) (string, error) {
	c, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	s.cloud = c
	s.page.say(control, "API at %s, workspace %s", c.ready.APIURL, c.ready.Workspace)
	s.page.say(chain, "JSON-RPC at %s, chain id %d\nKMS contract %s", c.ready.RPCURL, c.ready.ChainID, c.ready.KMSContract)
	s.page.say(owner, "%s", c.ready.OwnerAddress)
	s.page.say(node, "driver %s, which runs no real containers; all else here is real", c.node.Info().Driver)
	return fmt.Sprintf("ready after %d ms", c.ready.StartMilliseconds), c.database()
}

func (s *story) answer(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.ready.APIURL, "/api/v1")+"/readyz", nil)
	if err != nil {
		return "", err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return "", err
	}
	_ = response.Body.Close() // only the status counts
	me, err := s.user.GetCurrentUser(ctx)
	if err != nil {
		return "", err
	}
	id, err := s.eth.ChainID(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("workspace %s, chain id %s", deref(me.Workspace.Slug), id), errors.Join(
		same("the status of /readyz", http.StatusOK, response.StatusCode),
		same("the workspace", s.ready.Workspace, deref(me.Workspace.Slug)),
		same("the chain id", s.ready.ChainID, id.Uint64()),
	)
}

// bothRun finds the two CVMs and what the story has to know of them.
func (s *story) bothRun(ctx context.Context) (string, error) {
	for _, c := range s.ready.CVMs {
		at := map[string]*subject{devcloud.OffChainCVM: &s.offChain, devcloud.OnChainCVM: &s.onChain}[c.Name]
		if at == nil {
			return "", fmt.Errorf("the cloud has a CVM %q that nobody asked for", c.Name)
		}
		at.CVM = c
		if err := s.meet(ctx, at); err != nil {
			return "", fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return fmt.Sprintf("%s and %s", devcloud.OffChainCVM, devcloud.OnChainCVM), errors.Join(
		same("the name", devcloud.OffChainCVM, s.offChain.Name), same("the name", devcloud.OnChainCVM, s.onChain.Name),
		same("the KMS of "+devcloud.OffChainCVM, string(api.KMSPhala), s.offChain.KMSType),
		same("the KMS of "+devcloud.OnChainCVM, string(api.KMSEthereum), s.onChain.KMSType),
	)
}

func (s *story) meet(ctx context.Context, cvm *subject) error {
	shown, err := s.user.GetCVM(ctx, cvm.Name)
	if err != nil {
		return err
	}
	if shown.Status != api.StatusRunning || shown.NodeInfo == nil {
		return fmt.Errorf("it is %s, want running on a node", shown.Status)
	}
	yaml, err := s.user.GetDockerCompose(ctx, cvm.Name)
	if err != nil {
		return err
	}
	if yaml != examples.ComposeV1 {
		return errors.New("its Compose file is not that of examples/docker-compose.v1.yml")
	}
	expected, err := s.expect(ctx, cvm, examples.ComposeV1)
	if err != nil {
		return err
	}
	cvm.device, cvm.running = deref(shown.NodeInfo.DeviceID), expected
	if cvm.KMSType == string(api.KMSEthereum) {
		if cvm.contract, err = onchain.ParseAppID(cvm.AppID); err != nil {
			return err
		}
	}
	status, err := s.node.Status(ctx, cvm.VMUUID)
	if err != nil {
		return err
	}
	s.page.say(node, "%-13s  KMS %-8s  app %s  measured %s", cvm.Name, cvm.KMSType, short(cvm.AppID), short(status.RunningHash.String()))
	return same("the hash that runs", expected, status.RunningHash.String(), deref(shown.ComposeHash))
}

// request says what the client sends in an update.
func (s *story) request(cvm *subject, compose string, headers ...string) {
	s.page.say(client, "PATCH /cvms/%s/docker-compose, text/yaml, %d bytes", cvm.Name, len(compose))
	for _, h := range headers {
		s.page.say("", "%s", h)
	}
}

// proofHeaders are the headers of phase 2 as the client sends them.
func proofHeaders(hash, tx string) []string {
	return []string{api.HeaderComposeHash + ": " + hash, api.HeaderTransactionHash + ": " + tx}
}

// proof are the options of phase 2.
func proof(hash, tx string) []lockstep.UpdateOption {
	return []lockstep.UpdateOption{lockstep.WithComposeHash(hash), lockstep.WithTransactionHash(tx)}
}
