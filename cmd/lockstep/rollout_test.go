package main

import (
	"context"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

func (c *testCloud) client(ts *testscript.TestScript) *lockstep.Client {
	client, err := lockstep.NewClient(lockstep.WithBaseURL(c.url), lockstep.WithAPIKey(c.dev.Ready.APIKey))
	ts.Check(err)
	return client
}

// replicas: replicas CVM N. Makes N replicas of a CVM and waits until they run.
func (c *testCloud) replicas(ts *testscript.TestScript, args []string) {
	client := c.client(ts)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for range n {
		replica, err := client.CreateReplica(context.Background(), args[0], api.ReplicateRequest{})
		ts.Check(err)
		for _, err := range client.WatchCVMState(context.Background(), *replica.VMUUID, lockstep.WatchOptions{}) {
			ts.Check(err)
		}
	}
}

// hashOf: hash-of CVM VARIABLE. Sets a variable to the compose hash of what a CVM runs.
func (c *testCloud) hashOf(ts *testscript.TestScript, args []string) {
	cvm, err := c.client(ts).GetCVM(context.Background(), args[0])
	ts.Check(err)
	ts.Setenv(args[1], *cvm.ComposeHash)
}

func TestRolloutNeedsADocument(t *testing.T) {
	cmd := newRollout()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	for _, args := range [][]string{{"app"}, {"app", "--compose-hash", "1", "--revision", "2"}, {"--compose-hash", "1"}} {
		cmd.SetArgs(args)
		if err := cmd.Execute(); err == nil {
			t.Errorf("lockstep rollout %q was taken", args)
		}
	}
}

// appOf: app-of CVM VARIABLE. Sets a variable to the app id of a CVM.
func (c *testCloud) appOf(ts *testscript.TestScript, args []string) {
	cvm, err := c.client(ts).GetCVM(context.Background(), args[0])
	ts.Check(err)
	ts.Setenv(args[1], *cvm.AppID)
}
