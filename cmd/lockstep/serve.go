package main

import (
	"context"
	"errors"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
)

// tuneCollector lets the garbage collector run less often than its default. A server's live memory is
// small, so that costs a few megabytes under load and saves a tenth of the processor.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func newServe() *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the control plane",
		Long: "Serves the API from a configuration: flags over LOCKSTEP_* variables over a YAML file.\n" +
			"docs/operations.md describes every setting. Keys are made with `lockstep keys create`.",
		Example: "lockstep serve --config lockstep.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
			if err != nil {
				return err
			}
			tuneCollector()
			log, err := app.NewLogger(cmd.ErrOrStderr(), config.Log)
			if err != nil {
				return err
			}
			server, err := app.Open(cmd.Context(), config, app.Options{Logger: log})
			if err != nil {
				return err
			}
			err = server.Wait(cmd.Context())
			return errors.Join(err, server.Close(context.WithoutCancel(cmd.Context())))
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "YAML file with the configuration")
	app.ConfigFlags(cmd.Flags())
	return cmd
}
