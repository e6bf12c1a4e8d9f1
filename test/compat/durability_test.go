package compat

import (
	"slices"
	"testing"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

const (
	offChain = "demo-offchain"
	onChain  = "demo-onchain"
)

// moment is when the server is killed, in the middle of an update of each CVM. Every update was accepted
// or proposed before, and must end as if nothing had happened.
type moment struct {
	name string
	// phase1 kills before phase 2: the server must still know the proposal.
	phase1 bool
	// until, when set, is the state to wait for in the rollout; without it the kill follows the 202. A
	// rollout that was faster than the eye is killed after its end, which must do no harm either.
	until func(*api.CVMState) bool
	// watched is the CVM whose state that is. It is updated last, so that the other one is further on.
	watched string
}

var moments = []moment{
	{name: "before phase 2", phase1: true, watched: onChain},
	{name: "right after the 202, on chain", watched: onChain},
	{name: "right after the 202, off chain", watched: offChain},
	{name: "while the CVM stops", watched: onChain, until: func(s *api.CVMState) bool { return s.ShutdownProgress != nil }},
	{name: "while it boots", watched: offChain, until: atStage("requesting app keys", "mounting data disk", "data disk ready")},
	{name: "while its containers start", watched: onChain, until: atStage("setting up dstack-gateway", "setting up docker", "starting containers")},
}

// atStage is a boot in one of some stages that follow each other; a single one may pass unseen.
func atStage(stages ...string) func(*api.CVMState) bool {
	return func(s *api.CVMState) bool { return s.BootProgress != nil && slices.Contains(stages, *s.BootProgress) }
}

// TestDurability kills the server at several moments of updates and starts it again on its data. The
// approved documents must run in the end, and the chain go on where it was.
func TestDurability(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cloud := startCloudOn(t, dir, address{})
	for _, m := range moments {
		t.Logf("killed %s", m.name)
		cloud = m.killAndRestart(t, cloud, dir)
	}
	last := moments[len(moments)-1]
	cloud.stop(t) // and once as one should
	again := startCloudOn(t, dir, cloud.address(t))
	for _, cvm := range []string{offChain, onChain} {
		mustRun(t, again.client(t), cvm, "", last.compose(cvm))
	}
}

func (m moment) compose(cvm string) string { return compose(cvm + " killed " + m.name) }

// killAndRestart carries the updates through a kill, and returns the cloud that came up after it.
func (m moment) killAndRestart(t *testing.T, cloud *cloud, dir string) *cloud {
	t.Helper()
	before := cloud.blockNumber(t)
	hash := m.interrupt(t, cloud)
	cloud.kill(t)
	restarted := startCloudOn(t, dir, cloud.address(t))
	t.Logf("ready again after %d ms", restarted.StartMilliseconds)
	if restarted.APIKey != cloud.APIKey || restarted.KMSContract != cloud.KMSContract || restarted.APIURL != cloud.APIURL {
		t.Fatalf("another cloud came up: %+v, want %+v", restarted.Ready, cloud.Ready)
	}
	if after := restarted.blockNumber(t); after < before {
		t.Errorf("the chain was at block %d and is at block %d", before, after)
	}
	client := restarted.client(t)
	if m.phase1 {
		confirm(t, restarted, client, m.compose(onChain), hash)
	}
	awaitRunning(t, client, offChain)
	mustRun(t, client, offChain, "", m.compose(offChain))
	awaitRunning(t, client, onChain)
	mustRun(t, client, onChain, hash, m.compose(onChain))
	if !restarted.owner(t).allows(t, restarted.cvm(t, onChain).AppID, hash) {
		t.Error("the chain forgot the approval")
	}
	return restarted
}

// interrupt brings both updates to the moment, and returns the compose hash that the owner approves.
func (m moment) interrupt(t *testing.T, cloud *cloud) (hash string) {
	t.Helper()
	client := cloud.client(t)
	hash = propose(t, client, onChain, m.compose(onChain)).ComposeHash
	updateOnChain := func() {
		if !m.phase1 {
			confirm(t, cloud, client, m.compose(onChain), hash)
		}
	}
	updateOffChain := func() {
		result, err := client.UpdateDockerCompose(withPatience(t), offChain, m.compose(offChain))
		inProgress(t, result, err)
	}
	if m.watched == onChain {
		updateOffChain()
		updateOnChain()
	} else {
		updateOnChain()
		updateOffChain()
	}
	if m.until == nil {
		return hash
	}
	for event, err := range client.WatchCVMState(withPatience(t), m.watched, lockstep.WatchOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if event.State != nil && m.until(event.State) {
			return hash
		}
	}
	t.Log("the rollout ended before its state was seen")
	return hash
}

// confirm is the owner's approval and phase 2.
func confirm(t *testing.T, cloud *cloud, client *lockstep.Client, compose, hash string) {
	t.Helper()
	tx := cloud.owner(t).approve(t, cloud.cvm(t, onChain).AppID, hash)
	result, err := client.UpdateDockerCompose(withPatience(t), onChain, compose, lockstep.WithComposeHash(hash), lockstep.WithTransactionHash(tx))
	inProgress(t, result, err)
}

func (c *cloud) blockNumber(t *testing.T) uint64 {
	t.Helper()
	number, err := c.owner(t).chain.BlockNumber(withPatience(t))
	if err != nil {
		t.Fatal(err)
	}
	return number
}
