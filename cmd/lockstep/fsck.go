package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/fsck"
)

func newFsck() *cobra.Command {
	var configFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check every invariant over the database of a server",
		Long: "Hashes every document again, walks the history of every update through the state machine, and compares\n" +
			"updates, revisions, CVMs and the audit trail with each other. It changes nothing, and a server may be\n" +
			"working on the database meanwhile. The exit code is 1 when something is wrong.",
		Example: "lockstep fsck --config lockstep.yaml\nlockstep fsck --database-url sqlite:lockstep.db --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
			if err != nil {
				return err
			}
			report, err := app.Fsck(cmd.Context(), config, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), report)
			} else {
				_, err = fmt.Fprint(cmd.OutOrStdout(), describeReport(report))
			}
			if err == nil && !report.OK {
				err = exitError(1)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "YAML file with the configuration of the server")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	app.ConfigFlags(cmd.Flags())
	return cmd
}

// describeReport is a report as lines for people.
func describeReport(report *fsck.Report) string {
	var b strings.Builder
	for _, f := range report.Findings {
		fmt.Fprintln(&b, f)
	}
	var tables []string
	for table, n := range report.Rows {
		tables = append(tables, fmt.Sprintf("%d %s", n, table))
	}
	slices.SortFunc(tables, func(a, b string) int { return strings.Compare(a[strings.Index(a, " "):], b[strings.Index(b, " "):]) })
	verdict := "nothing is wrong"
	if !report.OK {
		verdict = fmt.Sprintf("%d things are wrong", len(report.Findings))
	}
	fmt.Fprintf(&b, "%s (looked at %s)\n", verdict, strings.Join(tables, ", "))
	return b.String()
}
