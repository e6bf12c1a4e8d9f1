package main

import (
	"fmt"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

func newMigrate() *cobra.Command {
	var configFile string
	var downTo int64
	var status bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of a server's database up to date, or take steps of it back",
		Long: "A server does this by itself when it starts; doing it before lets an upgrade fail early. Servers of the\n" +
			"version before go on working meanwhile. Going down loses what the steps had room for: stop the servers,\n" +
			"have a backup, and then start the older version.",
		Example: "lockstep migrate --config lockstep.yaml\nlockstep migrate --config lockstep.yaml --status\nlockstep migrate --config lockstep.yaml --down-to 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
			if err != nil {
				return err
			}
			var all []store.Migration
			if status {
				all, err = app.Migrations(cmd.Context(), config)
			} else {
				var down *int64
				if cmd.Flags().Changed("down-to") {
					down = &downTo
				}
				all, err = app.Migrate(cmd.Context(), config, down)
			}
			if err != nil {
				return err
			}
			for _, m := range all {
				state := "pending"
				if m.Applied {
					state = "applied"
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s\n", state, path.Base(m.Name)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "YAML file with the configuration of the server")
	cmd.Flags().Int64Var(&downTo, "down-to", 0, "take back the steps after this version")
	cmd.Flags().BoolVar(&status, "status", false, "only show which steps are applied")
	cmd.MarkFlagsMutuallyExclusive("down-to", "status")
	app.ConfigFlags(cmd.Flags())
	return cmd
}
