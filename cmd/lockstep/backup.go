package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
)

func newBackup() *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the SQLite database of a server, also while it runs",
		Long: "Copies the database as it is at one moment into a new file, which is never one that is there already.\n" +
			"To restore, stop the server, put the file in place of the database and remove files of the same name that\n" +
			"end with -wal and -shm. PostgreSQL has its own means: pg_dump, or a base backup and its log.",
		Example: "lockstep backup --config lockstep.yaml lockstep-2026-01-02.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
			if err != nil {
				return err
			}
			if err := app.Backup(cmd.Context(), config, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "YAML file with the configuration of the server")
	app.ConfigFlags(cmd.Flags())
	return cmd
}
