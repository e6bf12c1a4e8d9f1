package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

func newRevisions() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use:   "revisions CVM|APP",
		Short: "List the documents that were accepted for an app",
		Long: "Lists the revisions of an app, newest first: each document that was accepted for one of its CVMs, with its\n" +
			"compose hash, its approval and what became of it. Given a CVM, only its own.",
		Example: "lockstep revisions my-app\nlockstep revisions 50d1…ee --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client.client()
			if err != nil {
				return err
			}
			app, cvm, err := appAndCVM(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			var shown []api.Revision
			for r, err := range eachRevision(cmd.Context(), c, app) {
				if err != nil {
					return err
				}
				if cvm != nil && *cvm.VMUUID != r.VMUUID {
					continue
				}
				if shown = append(shown, r); len(shown) == limit {
					break
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), shown)
			}
			for _, r := range shown {
				current := cvm != nil && cvm.ComposeHash != nil && *cvm.ComposeHash == r.ComposeHash
				printRevision(cmd.OutOrStdout(), r, current)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the revisions as JSON")
	cmd.Flags().IntVar(&limit, "limit", 20, "at most this many")
	client.add(cmd.Flags())
	return cmd
}

func printRevision(out io.Writer, r api.Revision, current bool) {
	mark := " "
	if current {
		mark = "*" // what runs
	}
	fmt.Fprintf(out, "%s %s  %s  %-6s  0x%s", mark, r.RevisionID, r.CreatedAt, r.OperationType, r.ComposeHash)
	if r.Status != "" {
		fmt.Fprintf(out, "  %s", r.Status)
	}
	if r.Approval != nil && r.Approval.TransactionHash != nil {
		fmt.Fprintf(out, "  approved in %s", *r.Approval.TransactionHash)
	}
	fmt.Fprintln(out)
}

// eachRevision goes through the revisions of an app, newest first.
func eachRevision(ctx context.Context, client *lockstep.Client, app string) func(func(api.Revision, error) bool) {
	return func(yield func(api.Revision, error) bool) {
		for page := 1; ; page++ {
			found, err := client.Revisions(ctx, app, page, 0)
			if err != nil {
				yield(api.Revision{}, err)
				return
			}
			for _, r := range found.Revisions {
				if !yield(r, nil) {
					return
				}
			}
			if page >= found.TotalPages {
				return
			}
		}
	}
}

// appAndCVM is the app that an identifier names, and the CVM when it names one.
func appAndCVM(ctx context.Context, client *lockstep.Client, ref string) (string, *api.CVMDetail, error) {
	if id, err := api.ParseAppID("app_id", ref); err == nil {
		return id, nil, nil
	}
	cvm, err := client.GetCVM(ctx, ref)
	if err != nil {
		return "", nil, err
	}
	if cvm.AppID == nil || cvm.VMUUID == nil {
		return "", nil, fmt.Errorf("the CVM %s has no app id or vm_uuid", ref)
	}
	return *cvm.AppID, cvm, nil
}

// rollbackFlags are the flags of `lockstep rollback`.
type rollbackFlags struct {
	client  clientFlags
	tx      string
	wait    bool
	timeout time.Duration
	asJSON  bool
}

func newRollback() *cobra.Command {
	var f rollbackFlags
	cmd := &cobra.Command{
		Use:   "rollback CVM [REVISION]",
		Short: "Bring a CVM back to a document that it ran before",
		Long: "Redeploys a revision of the CVM's app, byte for byte; without REVISION the one that the CVM ran before the\n" +
			"present one. A document that the app's contract still allows needs no new transaction; otherwise the\n" +
			"answer says what the owner has to register, after which the command is repeated.",
		Example: "lockstep rollback my-app --wait\nlockstep rollback my-app rev_6b1f…",
		Args:    cobra.RangeArgs(1, 2),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1:]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.tx, "transaction-hash", "", "the transaction that approved it, to have it checked")
	flags.BoolVar(&f.wait, "wait", false, "follow the rollout until the document runs")
	flags.DurationVar(&f.timeout, "timeout", 15*time.Minute, "stop following after this time; the rollout goes on")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON, and progress on standard error")
	f.client.add(flags)
	return cmd
}

func (f *rollbackFlags) run(cmd *cobra.Command, ref string, named []string) error {
	client, err := f.client.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	cvm, err := client.GetCVM(ctx, ref)
	if err != nil {
		return err
	}
	if cvm.AppID == nil || cvm.VMUUID == nil {
		return fmt.Errorf("the CVM %s has no app id or vm_uuid", ref)
	}
	revision, err := rollbackTo(ctx, client, cvm, named)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.asJSON {
		out = cmd.ErrOrStderr()
	}
	done, err := client.Redeploy(lockstep.ContextWithIdempotencyKey(ctx, uuid.NewString()), *cvm.VMUUID, revision.RevisionID,
		lockstep.RedeployOptions{TransactionHash: f.tx})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s (%s of %s, compose hash 0x%s, operation %s)\n", ref, done.Message, revision.RevisionID, revision.CreatedAt,
		revision.ComposeHash, done.CorrelationID)
	if f.wait {
		err = followRollback(ctx, out, client, ref, done.CorrelationID, revision.ComposeHash)
	}
	if f.asJSON && err == nil {
		return printJSON(cmd.OutOrStdout(), done)
	}
	return err
}

// rollbackTo is the revision that was named, or the one that the CVM ran before.
func rollbackTo(ctx context.Context, client *lockstep.Client, cvm *api.CVMDetail, named []string) (*api.Revision, error) {
	if len(named) > 0 {
		detail, _, err := client.Revision(ctx, *cvm.AppID, named[0])
		if err != nil {
			return nil, err
		}
		return &detail.Revision, nil
	}
	current := false // the revision that runs was passed; older ones follow
	for r, err := range eachRevision(ctx, client, *cvm.AppID) {
		if err != nil {
			return nil, err
		}
		switch {
		case r.VMUUID != *cvm.VMUUID, r.Status != "" && r.Status != "succeeded":
		case cvm.ComposeHash != nil && r.ComposeHash == *cvm.ComposeHash:
			current = true
		case current:
			return &r, nil
		}
	}
	return nil, errors.New("the CVM ran no other document before; name a revision (`lockstep revisions` lists them)")
}

// followRollback waits until the operation has ended, and says how.
func followRollback(ctx context.Context, out io.Writer, client *lockstep.Client, ref, operation, hash string) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		cvm, err := client.GetCVM(ctx, ref)
		if err != nil {
			return err
		}
		if cvm.Progress == nil {
			if cvm.ComposeHash != nil && *cvm.ComposeHash == hash {
				fmt.Fprintf(out, "%s: done: the revision runs\n", ref)
				return nil
			}
			failed := &lockstep.RolloutError{CVM: ref, Status: cvm.Status, Want: hash, CorrelationID: operation}
			if cvm.ComposeHash != nil {
				failed.ComposeHash = *cvm.ComposeHash
			}
			return withBootError(ctx, client, ref, failed)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w\nThe rollout goes on: look with `lockstep revisions %s`", ctx.Err(), ref)
		case <-ticker.C:
		}
	}
}
