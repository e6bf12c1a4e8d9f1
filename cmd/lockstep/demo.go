//go:build !serveronly

package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/demo"
)

func newDemo() *cobra.Command {
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story in a cloud on this machine, and check every claim",
		Long: "Starts the whole cloud in this process, updates a CVM with an off-chain and one with an on-chain KMS,\n" +
			"tries everything that has to be refused, and compares the hash of what runs with the hash that was\n" +
			"approved. It takes a few seconds and leaves nothing behind. The exit code is 0 only if every check held.",
		Example: "lockstep demo\nlockstep demo --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelError // what the story provokes is no news
			if verbose {
				level = slog.LevelInfo
			}
			config := demo.Config{Logger: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))}
			if !asJSON {
				config.Out = cmd.OutOrStdout()
			}
			report := demo.Run(cmd.Context(), config)
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), report); err != nil {
					return err
				}
			}
			if !report.OK {
				return exitError(1)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a report as JSON and nothing else")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log requests and updates to standard error")
	return cmd
}
