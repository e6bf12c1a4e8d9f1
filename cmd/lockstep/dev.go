//go:build !serveronly

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// devHint is where a newcomer begins.
const devHint = "\n\nStart with `lockstep demo`, then keep a whole cloud running with `lockstep dev`."

// devCommands are the commands that need a chain in the program.
func devCommands() []*cobra.Command { return []*cobra.Command{newDemo(), newDev()} }

func newDev() *cobra.Command {
	var config devcloud.Config
	var readyFile, engine, compose string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the whole cloud on this machine: control plane, chain, contracts and two CVMs",
		Long: "Runs a control plane with a simulated node, an EVM chain with the KMS contracts, and two CVMs,\n" +
			"one with an off-chain and one with an on-chain KMS, until it is interrupted. Everything listens\n" +
			"on loopback. Keys and accounts are printed; they are worth nothing elsewhere.",
		Example: "lockstep dev\nlockstep dev --data ./cloud --ready-file ready.json\nlockstep dev --runtime docker --compose docker-compose.yml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			config.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			if err := chooseRuntime(&config, engine, compose); err != nil {
				return err
			}
			tuneCollector()
			dev, err := devcloud.Start(cmd.Context(), config)
			if err != nil {
				return err
			}
			if readyFile != "" {
				if err = writeReady(readyFile, dev.Ready); err != nil {
					return closeDev(cmd, dev, err)
				}
			}
			if err = printReady(cmd.OutOrStdout(), dev.Ready); err == nil {
				err = dev.Server.Wait(cmd.Context())
			}
			if readyFile != "" {
				_ = os.Remove(readyFile) // what it says is no longer true
			}
			return closeDev(cmd, dev, err)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&config.Listen, "listen", "127.0.0.1:8787", "address of the API; port 0 picks one")
	flags.StringVar(&config.RPCListen, "rpc-listen", "127.0.0.1:8545", "address of the chain's JSON-RPC; port 0 picks one")
	flags.StringVar(&config.DataDir, "data", "", "folder to keep everything in and go on from (default: temporary, removed at exit)")
	flags.StringVar(&config.DatabaseURL, "database-url", "", "database of the control plane, such as postgres://USER@HOST:PORT/DATABASE (default: SQLite in the folder of --data)")
	flags.Uint64Var(&config.ChainID, "chain-id", devchain.DefaultChainID, "id of the chain")
	flags.StringVar(&readyFile, "ready-file", "", "file to write the addresses and keys to, as JSON, once everything answers")
	flags.StringVar(&engine, "runtime", "sim", "what runs the CVMs: sim, or docker for the engine of DOCKER_HOST or of this machine; neither is a TEE. With --data containers keep running at exit")
	flags.StringVar(&compose, "compose", "", "Compose file that the two CVMs start with (default: an example)")
	flags.BoolVarP(&verbose, "verbose", "v", false, "log requests and updates")
	return cmd
}

// chooseRuntime reads the flags of what runs the CVMs, and of what they run.
func chooseRuntime(config *devcloud.Config, engine, compose string) error {
	switch engine {
	case "sim":
	case "docker":
		config.Docker = &app.DockerConfig{Host: os.Getenv("DOCKER_HOST")}
		if os.Getenv("DOCKER_TLS_VERIFY") != "" {
			config.Docker.CertDir = os.Getenv("DOCKER_CERT_PATH")
		}
	default:
		return fmt.Errorf("--runtime is %q, want sim or docker", engine)
	}
	if compose == "" {
		return nil
	}
	text, err := os.ReadFile(compose)
	if err != nil {
		return fmt.Errorf("--compose: %w", err)
	}
	config.Compose = string(text)
	return nil
}

func writeReady(path string, ready devcloud.Ready) error {
	b, err := json.MarshalIndent(ready, "", "  ") //nolint:gosec // the keys of a development cloud are what the file is for
	if err != nil {
		return err
	}
	return devcloud.WriteFileAtomic(path, append(b, '\n'))
}

func printReady(w io.Writer, ready devcloud.Ready) error {
	_, err := fmt.Fprintf(w, `Lockstep cloud is ready after %d ms.

  export PHALA_CLOUD_API_PREFIX=%s
  export PHALA_CLOUD_API_KEY=%s
  export ETH_RPC_URL=%s
  export PRIVATE_KEY=%s

  chain id %d, KMS contract %s, owner %s
`, ready.StartMilliseconds, ready.APIURL, ready.APIKey, ready.RPCURL, ready.OwnerKey, ready.ChainID, ready.KMSContract, ready.OwnerAddress)
	for _, cvm := range ready.CVMs {
		if err == nil {
			_, err = fmt.Fprintf(w, "  CVM %-14s %-8s app %s\n", cvm.Name, cvm.KMSType, cvm.AppID)
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\nTry: lockstep update %s -f docker-compose.yml --wait\nCtrl-C stops it.\n", devcloud.OnChainCVM)
	}
	return err
}

// closeDev ends the cloud and keeps the error that came first.
func closeDev(cmd *cobra.Command, dev *devcloud.Cloud, err error) error {
	return errors.Join(err, dev.Close(context.WithoutCancel(cmd.Context())))
}
