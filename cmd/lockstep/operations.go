package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// newOperations makes `lockstep operations`.
func newOperations() *cobra.Command {
	var (
		client clientFlags
		opts   lockstep.OperationsOptions
		limit  int
		since  time.Duration
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "operations CVM",
		Short:   "List what was done to a CVM, newest first",
		Long:    "Lists the updates and power operations of a CVM with how they ended and why.",
		Example: "lockstep operations my-app --type compose_update --since 24h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client.client()
			if err != nil {
				return err
			}
			if since > 0 {
				opts.Since = time.Now().Add(-since)
			}
			opts.PageSize = min(limit, api.MaxOperations)
			var found []*api.Operation
			for operation, err := range c.Operations(cmd.Context(), args[0], opts) {
				if err != nil {
					return err
				}
				if found = append(found, operation); len(found) == limit {
					break
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), api.List[*api.Operation](found))
			}
			for _, o := range found {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %-14s %-11s %s\n", o.StartedAt, o.OperationType, o.Status, o.CorrelationID)
				if o.ErrorMessage != nil {
					fmt.Fprintf(cmd.OutOrStdout(), "    %s\n", *o.ErrorMessage)
				}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&limit, "limit", 20, "how many at most")
	flags.StringSliceVar(&opts.Types, "type", nil, "only these: deploy, compose_update, power_on, power_off, shutdown, restart, delete")
	flags.DurationVar(&since, "since", 0, "only those begun within this time, such as 24h")
	flags.BoolVar(&asJSON, "json", false, "print them as JSON")
	client.add(flags)
	return cmd
}
