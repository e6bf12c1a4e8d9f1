package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/api"
)

func newPs() *cobra.Command {
	var client clientFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ps CVM",
		Short: "List the containers of a CVM",
		Long: "Lists the containers of a CVM with what they do. CVM is a name, an app id, a UUID or any other\n" +
			"identifier. When the CVM does not run or its node does not answer, the exit code is 1.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client.client()
			if err != nil {
				return err
			}
			found, err := c.GetCVMComposition(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), found)
			} else if found.IsOnline {
				err = printContainers(cmd.OutOrStdout(), found.Containers)
			}
			if err == nil && !found.IsOnline {
				err = offline(args[0], found)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	client.add(cmd.Flags())
	return cmd
}

// offline says why a CVM shows no containers.
func offline(cvm string, found *api.Composition) error {
	if found.Error != nil {
		return fmt.Errorf("%s shows no containers: %s", cvm, *found.Error)
	}
	return fmt.Errorf("%s shows no containers: it is offline", cvm)
}

func printContainers(out io.Writer, containers []api.Container) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "CONTAINER ID\tNAME\tIMAGE\tSTATUS")
	for _, c := range containers {
		name := ""
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID[:min(len(c.ID), 12)], name, c.Image, c.Status)
	}
	return table.Flush()
}
