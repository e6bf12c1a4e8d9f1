package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// powerFlags are the flags of `lockstep start` and its like.
type powerFlags struct {
	client  clientFlags
	wait    bool
	timeout time.Duration
	force   bool
	yes     bool
	grace   time.Duration
}

// newPower makes the commands that act on a whole CVM.
func newPower() []*cobra.Command {
	var stop powerFlags
	stopping := powerCommand("stop CVM", "Shut a CVM down", "Asks the guest to shut down and cuts it off when that takes too long. With --force it is cut off at once,\n"+
		"and whatever runs on the CVM is cancelled first: an update leaves its previous document in place.", &stop,
		func(ctx context.Context, client *lockstep.Client, cvm string) (*api.VM, error) {
			if stop.force {
				return client.StopCVM(ctx, cvm)
			}
			return client.ShutdownCVM(ctx, cvm, stop.shutdown())
		})
	stop.addShutdown(stopping)

	var restart powerFlags
	restarting := powerCommand("restart CVM", "Stop a CVM and boot it with the same document", "Nothing is stopped unless the app's contract allows the document to boot again.", &restart,
		func(ctx context.Context, client *lockstep.Client, cvm string) (*api.VM, error) {
			return client.RestartCVM(ctx, cvm, api.RestartRequest{Force: restart.force, ShutdownOptions: restart.shutdown()})
		})
	restart.addShutdown(restarting)

	var start powerFlags
	starting := powerCommand("start CVM", "Boot a CVM with the document that it ran last", "The app's contract is asked whether the document may boot.", &start,
		func(ctx context.Context, client *lockstep.Client, cvm string) (*api.VM, error) {
			return client.StartCVM(ctx, cvm)
		})
	return []*cobra.Command{starting, stopping, restarting, newDelete()}
}

func powerCommand(use, short, long string, f *powerFlags, call func(context.Context, *lockstep.Client, string) (*api.VM, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			vm, err := call(ctx, client, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", vm.Name, vm.Status)
			if !f.wait {
				return nil
			}
			return awaitIdle(ctx, cmd.OutOrStdout(), client, args[0])
		},
	}
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until it is done; the exit code is 1 when it failed")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Minute, "stop waiting after this time; the operation goes on")
	f.client.add(cmd.Flags())
	return cmd
}

func (f *powerFlags) addShutdown(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.force, "force", false, "cut the CVM off at once instead of asking the guest")
	cmd.Flags().DurationVar(&f.grace, "shutdown-timeout", 0, "how long the guest may take before it is cut off, 10s to 20m (default: the server's setting)")
	cmd.MarkFlagsMutuallyExclusive("force", "shutdown-timeout")
}

func (f *powerFlags) shutdown() api.ShutdownOptions {
	if f.grace == 0 {
		return api.ShutdownOptions{}
	}
	force := true
	return api.ShutdownOptions{ShutdownTimeout: api.ShutdownTimeout{Given: true, Seconds: int(f.grace / time.Second)}, AllowForceStop: &force}
}

// newDelete makes `lockstep delete`.
func newDelete() *cobra.Command {
	var f powerFlags
	cmd := &cobra.Command{
		Use:   "delete CVM --yes",
		Short: "Delete a CVM and its disk",
		Long:  "Deletes a CVM and its disk; there is no way back. What runs on it is cancelled first.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.yes {
				return errors.New("the disk of the CVM is deleted with it: say --yes")
			}
			client, err := f.client.client()
			if err != nil {
				return err
			}
			if err := client.DeleteCVM(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: deleted\n", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it")
	f.client.add(cmd.Flags())
	return cmd
}

// newCancel makes `lockstep cancel`.
func newCancel() *cobra.Command {
	var f powerFlags
	cmd := &cobra.Command{
		Use:   "cancel CVM",
		Short: "Cancel what is done to a CVM",
		Long: "Cancels the update of a CVM. What did nothing to it yet ends at once; a rollout gives its place back to\n" +
			"the previous document, which runs again. A power operation that has begun is not cancelled.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			result, err := client.CancelOperation(ctx, args[0])
			if err != nil {
				return err
			}
			if !result.Cancelled {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: nothing to cancel\n", args[0])
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: cancelled\n", args[0])
			if !f.wait {
				return nil
			}
			for {
				now, err := client.OperationStatus(ctx, args[0])
				if err != nil || now.Status == api.OperationIdle {
					return err
				}
				if err := pause(ctx); err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the previous document runs again")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Minute, "stop waiting after this time; the way back goes on")
	f.client.add(cmd.Flags())
	return cmd
}

// awaitIdle follows what runs on a CVM to its end and tells how the newest operation ended.
func awaitIdle(ctx context.Context, out io.Writer, client *lockstep.Client, cvm string) error {
	said := ""
	for {
		now, err := client.OperationStatus(ctx, cvm)
		if err != nil {
			return err
		}
		if now.Status == api.OperationIdle {
			break
		}
		if now.Reason != nil && *now.Reason != said {
			said = *now.Reason
			fmt.Fprintf(out, "%s: %s\n", cvm, said)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	for operation, err := range client.Operations(ctx, cvm, lockstep.OperationsOptions{PageSize: 1}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s %s\n", cvm, operation.OperationType, operation.Status)
		if operation.Status == api.OperationFailed && operation.ErrorMessage != nil {
			return fmt.Errorf("the %s failed: %s", operation.OperationType, *operation.ErrorMessage)
		}
		break
	}
	return nil
}

// pause waits before the next look.
func pause(ctx context.Context) error {
	select {
	case <-time.After(500 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
