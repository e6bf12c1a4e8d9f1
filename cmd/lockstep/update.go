package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/internal/app"
)

// updateFlags are the flags of `lockstep update`.
type updateFlags struct {
	file    string
	wait    bool
	timeout time.Duration
	asJSON  bool
	resume  bool
	client  clientFlags
	owner   ownerFlags
}

// clientFlags say which API is called, and as whom.
type clientFlags struct{ apiURL, apiKey string }

func (f *clientFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.apiURL, "api-url", "", "base URL of the API (or LOCKSTEP_API_URL, PHALA_CLOUD_API_PREFIX; default: the hosted API)")
	flags.StringVar(&f.apiKey, "api-key", "", "API key; visible to other users of this machine, so better LOCKSTEP_API_KEY or PHALA_CLOUD_API_KEY")
}

func (f *clientFlags) client() (*lockstep.Client, error) {
	options := []lockstep.Option{lockstep.WithUserAgent("lockstep-cli/" + app.Version())}
	if url := firstOf(f.apiURL, os.Getenv("LOCKSTEP_API_URL")); url != "" {
		options = append(options, lockstep.WithBaseURL(url))
	}
	if key := firstOf(f.apiKey, os.Getenv("LOCKSTEP_API_KEY")); key != "" {
		options = append(options, lockstep.WithAPIKey(key))
	}
	if firstOf(f.apiKey, os.Getenv("LOCKSTEP_API_KEY"), os.Getenv("PHALA_CLOUD_API_KEY")) == "" {
		return nil, errors.New("no API key was given: use LOCKSTEP_API_KEY, PHALA_CLOUD_API_KEY or --api-key")
	}
	return lockstep.NewClient(options...)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func newUpdate() *cobra.Command {
	var f updateFlags
	cmd := &cobra.Command{
		Use:   "update CVM -f FILE",
		Short: "Change the Docker Compose file of a running CVM, approval included",
		Long: "Proposes the new Compose file, registers its hash on the app's contract with the owner's key where\n" +
			"the KMS is on chain, confirms, and with --wait follows the rollout until the approved document runs.\n\n" +
			"It may be interrupted at any time and called again: it goes on where it was and never pays twice.\n" +
			"CVM is a name, an app id, a UUID or any other identifier. It works against a Lockstep server and\n" +
			"against the hosted API, and reads the ecosystem's variables: PHALA_CLOUD_API_PREFIX,\n" +
			"PHALA_CLOUD_API_KEY, ETH_RPC_URL and PRIVATE_KEY.",
		Example: "lockstep update my-app -f docker-compose.yml --wait\n" +
			"lockstep update my-app -f docker-compose.yml --keystore owner.json --rpc-url https://rpc.example",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "the new Docker Compose file; a dash reads standard input")
	flags.BoolVar(&f.wait, "wait", false, "follow the rollout until the approved document runs")
	flags.DurationVar(&f.timeout, "timeout", 15*time.Minute, "give up after this time; calling again goes on")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON, and progress on standard error")
	flags.BoolVar(&f.resume, "checkpoint", true, "remember an update that was interrupted, to go on with the transaction that was sent")
	f.client.add(flags)
	f.owner.add(flags)
	cmd.MarkFlagsMutuallyExclusive("private-key-file", "keystore")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func (f *updateFlags) run(cmd *cobra.Command, cvm string) error {
	compose, err := readInput(cmd.InOrStdin(), f.file)
	if err != nil {
		return err
	}
	client, err := f.client.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	out := cmd.OutOrStdout()
	if f.asJSON {
		out = cmd.ErrOrStderr()
	}
	progress := newProgress(out, cvm)
	request := lockstep.ApplyRequest{
		CVM: cvm, Compose: string(compose), IdempotencyKey: uuid.NewString(), Wait: f.wait, Progress: progress.show, PollInterval: time.Second,
		Approver: &ownerApprover{flags: &f.owner, prompt: cmd, progress: progress},
	}
	if f.resume {
		if request.Checkpoint, err = checkpointFor(client.BaseURL(), cvm); err != nil {
			return err
		}
	}
	result, err := client.Apply(ctx, request)
	progress.end()
	if err != nil {
		if failed, ok := errors.AsType[*lockstep.RolloutError](err); ok {
			return withBootError(context.WithoutCancel(ctx), client, cvm, failed)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w\nNothing is lost: call the same command again to go on", err)
		}
		return err
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), updateReport{
			CVM: cvm, ComposeHash: result.ComposeHash, TransactionHash: result.TransactionHash,
			CorrelationID: result.CorrelationID, Waited: f.wait,
		})
	}
	return nil
}

// updateReport is what --json prints.
type updateReport struct {
	CVM             string `json:"cvm"`
	ComposeHash     string `json:"compose_hash"`
	TransactionHash string `json:"transaction_hash"`
	CorrelationID   string `json:"correlation_id"`
	Waited          bool   `json:"waited"`
}

// withBootError adds the guest's own words to a rollout that failed.
func withBootError(ctx context.Context, client *lockstep.Client, cvm string, failed *lockstep.RolloutError) error {
	state, err := client.GetCVMState(ctx, cvm)
	if err != nil || state.BootError == nil || *state.BootError == "" {
		return failed
	}
	return fmt.Errorf("%w\nThe guest says: %s", failed, *state.BootError)
}

// checkpointFor is where an interrupted update of this CVM is remembered.
func checkpointFor(apiURL, cvm string) (lockstep.Checkpoint, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("no folder for checkpoints; use --checkpoint=false: %w", err)
	}
	dir = filepath.Join(dir, "lockstep", "updates")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return lockstep.NewFileCheckpoint(filepath.Join(dir, checkpointName(apiURL, cvm))), nil
}
