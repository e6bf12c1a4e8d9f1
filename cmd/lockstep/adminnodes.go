package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

func newAdmin() *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "Administer a server"}
	cmd.AddCommand(newAdminNodes())
	return cmd
}

type withNodes func(*cobra.Command, func(context.Context, *app.Nodes) error) error

func newAdminNodes() *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "Add, list, drain and remove hosts at run time",
		Long: "Works on the database of a server, which may be running and takes changes up within seconds. Hosts in\n" +
			"the configuration file can be listed and drained; they are added and removed there.",
	}
	cmd.PersistentFlags().StringVar(&configFile, "config", "", "YAML file with the configuration of the server")
	app.ConfigFlags(cmd.PersistentFlags())
	with := func(cmd *cobra.Command, f func(context.Context, *app.Nodes) error) error {
		config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
		if err != nil {
			return err
		}
		nodes, err := app.OpenNodes(cmd.Context(), config)
		if err != nil {
			return err
		}
		return errors.Join(f(cmd.Context(), nodes), nodes.Close())
	}
	cmd.AddCommand(newNodesAdd(with), newNodesList(with), newNodesDrain(with), newNodesUndrain(with), newNodesRemove(with))
	return cmd
}

// maxNodeFile bounds what is read of the settings of a node.
const maxNodeFile = 1 << 20

func newNodesAdd(with withNodes) *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "add FILE",
		Short: "Add the host that a file describes as an entry of nodes in the configuration does",
		Long: "FILE holds one entry of nodes, in YAML or JSON; - reads it from the standard input. Without id the\n" +
			"next one is taken. Secrets are given by file (token_file, password_file): the database keeps none.\n" +
			"Run it where the servers run, so that the files it names can be checked.",
		Example: "lockstep admin nodes add --config lockstep.yaml tdx-2.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := readNodeFile(cmd, args[0])
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, nodes *app.Nodes) error {
				do, done := nodes.Add, "Added"
				if replace {
					do, done = nodes.Replace, "Changed"
				}
				row, err := do(ctx, settings)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s node %d %s.\n", done, row.ID, row.Name)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "change the settings of the host of this name, which keeps its id, driver and CVMs")
	return cmd
}

func readNodeFile(cmd *cobra.Command, path string) ([]byte, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxNodeFile+1))
	if err == nil && len(text) > maxNodeFile {
		err = fmt.Errorf("%s has more than %d bytes, want the settings of one node", path, maxNodeFile)
	}
	return text, err
}

func newNodesDrain(with withNodes) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Let no new CVM onto a host; those that are there stay, and their updates go on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, nodes *app.Nodes) error {
				row, err := nodes.Drain(ctx, args[0], why)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Draining node %d %s.\n", row.ID, row.Name)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&why, "reason", "", "why, for whoever lists the nodes")
	return cmd
}

func newNodesUndrain(with withNodes) *cobra.Command {
	return &cobra.Command{
		Use:   "undrain NODE",
		Short: "Let new CVMs onto a host again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, nodes *app.Nodes) error {
				row, err := nodes.Undrain(ctx, args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Node %d %s takes CVMs.\n", row.ID, row.Name)
				return err
			})
		},
	}
}

func newNodesRemove(with withNodes) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Forget a host that has no CVMs",
		Long: "Forgets a host that was added at run time, when no CVM is on it. With --force it also forgets a host\n" +
			"with CVMs that is lost for good: it must be drained, and must not have answered when a server last\n" +
			"looked. Its CVMs stay listed, and their updates wait, until their owners delete them.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, nodes *app.Nodes) error {
				row, left, err := nodes.Remove(ctx, args[0], force)
				if err != nil {
					return err
				}
				if len(left) > 0 {
					if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "CVMs were on it. What was on its disks is lost."); err != nil {
						return err
					}
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Removed node %d %s.\n", row.ID, row.Name)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "remove a drained host that does not answer, with CVMs on it")
	return cmd
}

func newNodesList(with withNodes) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the hosts: what they have, what is used, and what servers saw of them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, nodes *app.Nodes) error {
				reports, err := nodes.List(ctx)
				if err != nil {
					return err
				}
				rows := make([]nodeRow, len(reports))
				for i, r := range reports {
					rows[i] = rowOfNode(r, time.Now())
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), rows)
				}
				return printNodes(cmd.OutOrStdout(), rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// nodeRow is a node as `admin nodes list --json` shows it. Memory is in MB.
type nodeRow struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Driver   string `json:"driver"`
	Origin   string `json:"origin"` // database, config
	State    string `json:"state"`  // active, draining
	Reason   string `json:"reason,omitempty"`
	Health   string `json:"health"` // online, unreachable, unknown
	Since    string `json:"since,omitempty"`
	LookedAt string `json:"looked_at,omitempty"`
	Error    string `json:"error,omitempty"`
	Version  string `json:"version,omitempty"`

	CVMs       int64 `json:"cvms"`
	MaxCVMs    int64 `json:"max_cvms"`
	VCPU       int64 `json:"vcpu"`
	MaxVCPU    int64 `json:"max_vcpu"`
	Memory     int64 `json:"memory_mb"`
	MaxMemory  int64 `json:"max_memory_mb"`
	staleSince time.Time
}

// staleHealth is the age from which what was seen of a host says nothing: servers write it down once a minute.
const staleHealth = 3 * time.Minute

func rowOfNode(r app.NodeReport, now time.Time) nodeRow {
	row := nodeRow{
		ID: r.Row.ID, Name: r.Row.Name, Driver: r.Row.Driver, Origin: r.Row.Origin, State: r.Row.State, Reason: r.Row.Reason,
		Health: control.NodeUnknown, CVMs: r.Used.CVMs, MaxCVMs: r.Limit.CVMs, VCPU: r.Used.VCPU, MaxVCPU: r.Limit.VCPU,
		Memory: r.Used.MemoryMB, MaxMemory: r.Limit.MemoryMB,
	}
	if h := r.Health; h != nil {
		row.health(h, now)
	}
	return row
}

func (row *nodeRow) health(h *store.NodeHealth, now time.Time) {
	row.Version, row.Error = h.Version, h.Error
	row.Since, row.LookedAt = h.StateSince.Format(time.RFC3339), h.UpdatedAt.Format(time.RFC3339)
	switch {
	case now.Sub(h.UpdatedAt.Time) > staleHealth:
		row.staleSince = h.UpdatedAt.Time
	case h.Reachable:
		row.Health = control.NodeOnline
	default:
		row.Health = control.NodeUnreachable
	}
}

func printNodes(w io.Writer, rows []nodeRow) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(t, "ID\tNAME\tDRIVER\tFROM\tSTATE\tHEALTH\tSINCE\tCVMS\tVCPU\tMEMORY MB\tNOTE"); err != nil {
		return err
	}
	for _, r := range rows {
		note := r.Reason
		switch {
		case r.Error != "":
			note = r.Error
		case !r.staleSince.IsZero():
			note = "last looked at " + r.LookedAt
		}
		if _, err := fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d/%d\t%d/%d\t%d/%d\t%s\n", r.ID, r.Name, r.Driver, r.Origin, r.State, r.Health, r.Since,
			r.CVMs, r.MaxCVMs, r.VCPU, r.MaxVCPU, r.Memory, r.MaxMemory, note); err != nil {
			return err
		}
	}
	return t.Flush()
}
