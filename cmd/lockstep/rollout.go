package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// rolloutFlags are the flags of `lockstep rollout` and its subcommands.
type rolloutFlags struct {
	client  clientFlags
	wait    bool
	timeout time.Duration
	asJSON  bool

	request                api.RolloutRequest
	maxUnavailable, canary string
	minReady               int
}

func newRollout() *cobra.Command {
	var f rolloutFlags
	cmd := &cobra.Command{
		Use:   "rollout APP --compose-hash HASH",
		Short: "Take one approved document to all CVMs of an app",
		Long: "Updates the CVMs of an app batch by batch to a document whose hash the owner has approved once: one\n" +
			"that a CVM of the app ran, or that was proposed for one (`lockstep update` without --wait, or phase 1).\n" +
			"When too many fail, those that were moved go back to what they ran before.\n\n" +
			"APP is an app id, or any identifier of one of its CVMs. With --wait the exit code is 0 when the\n" +
			"document runs everywhere or the canary waits to be resumed, and 1 when the rollout went back.\n" +
			"Only Lockstep servers offer rollouts.",
		Example: "lockstep rollout 50d1…ee --compose-hash 3f9a…c1 --strategy canary --max-unavailable 25% --wait\n" +
			"lockstep rollout resume 50d1…ee --wait",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.start(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.request.ComposeHash, "compose-hash", "", "the document, by its compose hash")
	flags.StringVar(&f.request.RevisionID, "revision", "", "the document, by a revision of the app")
	flags.StringVar(&f.request.TransactionHash, "transaction-hash", "", "the transaction that approved it, to have it checked")
	flags.StringSliceVar(&f.request.VMUUIDs, "vm-uuid", nil, "only this CVM; may be repeated (default: all of the app)")
	flags.StringVar(&f.request.Strategy, "strategy", api.RolloutRolling, "rolling, canary or all_at_once")
	flags.StringVar(&f.maxUnavailable, "max-unavailable", "", "how many CVMs may be down at once, such as 2 or 25% (default 1)")
	flags.StringVar(&f.canary, "canary", "", "how many CVMs go first with --strategy canary (default 1)")
	flags.IntVar(&f.minReady, "min-ready", 10, "seconds that a CVM has to stay healthy before the next batch")
	flags.IntVar(&f.request.MaxFailures, "max-failures", 0, "how many CVMs may fail before the rollout goes back")
	f.addCommon(flags)
	cmd.MarkFlagsOneRequired("compose-hash", "revision")
	cmd.MarkFlagsMutuallyExclusive("compose-hash", "revision")
	for _, move := range []struct {
		name, short string
		call        func(*lockstep.Client, context.Context, string, string) (*api.Rollout, error)
	}{
		{"status", "Show a rollout", (*lockstep.Client).Rollout},
		{"pause", "Begin with no more CVMs; those under way go on", (*lockstep.Client).PauseRollout},
		{"resume", "Go on; after the canary this promotes it to all CVMs", (*lockstep.Client).ResumeRollout},
		{"abort", "Take the CVMs that were moved back to what they ran before", (*lockstep.Client).AbortRollout},
	} {
		cmd.AddCommand(newRolloutMove(move.name, move.short, move.call))
	}
	return cmd
}

func newRolloutMove(name, short string, call func(*lockstep.Client, context.Context, string, string) (*api.Rollout, error)) *cobra.Command {
	var f rolloutFlags
	cmd := &cobra.Command{
		Use:   name + " APP [ROLLOUT]",
		Short: short,
		Long:  short + ".\n\nAPP is an app id, or any identifier of one of its CVMs. Without ROLLOUT the newest is meant.",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, args[0], func(ctx context.Context, client *lockstep.Client, app string) (*api.Rollout, error) {
				id, err := rolloutID(ctx, client, app, args[1:])
				if err != nil {
					return nil, err
				}
				return call(client, ctx, app, id)
			})
		},
	}
	f.addCommon(cmd.Flags())
	return cmd
}

func (f *rolloutFlags) addCommon(flags *pflag.FlagSet) {
	flags.BoolVar(&f.wait, "wait", false, "follow the rollout until it has ended or waits for a person")
	flags.DurationVar(&f.timeout, "timeout", time.Hour, "stop following after this time; the rollout goes on")
	flags.BoolVar(&f.asJSON, "json", false, "print the rollout as JSON, and progress on standard error")
	f.client.add(flags)
}

func (f *rolloutFlags) start(cmd *cobra.Command, appRef string) error {
	f.request.MaxUnavailable, f.request.Canary = api.CountOrPercent(f.maxUnavailable), api.CountOrPercent(f.canary)
	f.request.MinReady = &f.minReady
	return f.with(cmd, appRef, func(ctx context.Context, client *lockstep.Client, app string) (*api.Rollout, error) {
		return client.StartRollout(ctx, app, f.request)
	})
}

// with makes a call about the rollout of an app and shows what came of it.
func (f *rolloutFlags) with(cmd *cobra.Command, appRef string, call func(context.Context, *lockstep.Client, string) (*api.Rollout, error)) error {
	client, err := f.client.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	app, err := appOf(ctx, client, appRef)
	if err != nil {
		return err
	}
	rollout, err := call(ctx, client, app)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.asJSON {
		out = cmd.ErrOrStderr()
	}
	if f.wait {
		rollout, err = followRollout(ctx, out, client, rollout)
	} else {
		printRollout(out, rollout)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w\nThe rollout goes on: look with `lockstep rollout status %s`", err, app)
	}
	if f.asJSON && rollout != nil {
		return errors.Join(printJSON(cmd.OutOrStdout(), rollout), err)
	}
	return err
}

// appOf is the app id of an app, or of a CVM.
func appOf(ctx context.Context, client *lockstep.Client, ref string) (string, error) {
	if id, err := api.ParseAppID("app_id", ref); err == nil {
		return id, nil
	}
	cvm, err := client.GetCVM(ctx, ref)
	if err != nil {
		return "", err
	}
	if cvm.AppID == nil {
		return "", fmt.Errorf("the CVM %s has no app id", ref)
	}
	return *cvm.AppID, nil
}

// rolloutID is the rollout that was named, or the newest of the app.
func rolloutID(ctx context.Context, client *lockstep.Client, app string, named []string) (string, error) {
	if len(named) > 0 {
		return named[0], nil
	}
	newest, err := client.Rollouts(ctx, app, 1)
	if err != nil {
		return "", err
	}
	if len(newest) == 0 {
		return "", fmt.Errorf("the app %s has had no rollout", app)
	}
	return newest[0].RolloutID, nil
}

// followRollout prints what changes until the rollout has ended or waits for a person.
func followRollout(ctx context.Context, out io.Writer, client *lockstep.Client, rollout *api.Rollout) (*api.Rollout, error) {
	line, targets := "", map[string]string{}
	last := rollout
	for now, err := range client.WatchRollout(ctx, rollout.AppID, rollout.RolloutID, time.Second) {
		if err != nil {
			return last, err
		}
		last = now
		if text := string(now.State) + ": " + now.Reason; text != line {
			line = text
			fmt.Fprintf(out, "%s %s\n", now.RolloutID, text)
		}
		for i := range now.Targets {
			t := &now.Targets[i]
			if targets[t.VMUUID] != t.State && t.State != "pending" {
				fmt.Fprintf(out, "  %s %s: %s\n", t.VMUUID, t.State, t.Reason)
			}
			targets[t.VMUUID] = t.State
		}
		switch now.State {
		case api.RolloutPaused, api.RolloutSucceeded:
			return now, nil
		case api.RolloutRolledBack, api.RolloutFailed:
			return now, &lockstep.FleetError{Rollout: now}
		case api.RolloutRunning, api.RolloutRollingBack:
		}
	}
	return last, nil
}

// printRollout shows a rollout with its CVMs.
func printRollout(out io.Writer, r *api.Rollout) {
	fmt.Fprintf(out, "%s %s: %s\n", r.RolloutID, r.State, r.Reason)
	fmt.Fprintf(out, "  compose hash %s, %s, at most %d CVMs down\n", r.ComposeHash, r.Strategy, r.MaxUnavailable)
	for _, t := range r.Targets {
		fmt.Fprintf(out, "  batch %d  %s %s: %s\n", t.Batch, t.VMUUID, t.State, t.Reason)
	}
}
