// Command lockstep changes the Docker Compose file of a running confidential VM in lockstep with its
// owner's approval on chain: as a client, as the server, and as a whole cloud on a laptop.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	// The first signal ends the work in order; a second one ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := fang.Execute(ctx, newRoot(), fang.WithVersion(app.Version()), fang.WithErrorHandler(printError))
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	if err != nil {
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockstep",
		Short: "Update confidential VMs in lockstep with their owner's approval on chain",
		Long: "Lockstep changes the Docker Compose file of a running confidential VM (CVM): it proposes the new\n" +
			"document, has its hash approved on the app's contract, and rolls exactly those bytes out." + devHint,
		SilenceUsage: true,
	}
	root.AddCommand(newAdmin(), newBackup(), newCancel(), newFsck(), newHash(), newKeys(), newLogs(), newMigrate(), newOperations(),
		newPs(), newRevisions(), newRollback(), newRollout(), newServe(), newUpdate(), newVerifyHistory(), newVersion(), newVMMSim())
	root.AddCommand(newPower()...)
	root.AddCommand(devCommands()...)
	return root
}
