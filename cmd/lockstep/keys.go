package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

func newKeys() *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Manage API keys",
		Long: "Manages the API keys in the database of a server, which may be running. A key is 256 random bits,\n" +
			"bound to one workspace; only its hash is stored.",
	}
	cmd.PersistentFlags().StringVar(&configFile, "config", "", "YAML file with the configuration of the server")
	app.ConfigFlags(cmd.PersistentFlags())
	with := func(cmd *cobra.Command, f func(context.Context, *app.Keys) error) error {
		config, err := app.LoadConfig(configFile, os.Environ, cmd.Flags())
		if err != nil {
			return err
		}
		keys, err := app.OpenKeys(cmd.Context(), config)
		if err != nil {
			return err
		}
		return errors.Join(f(cmd.Context(), keys), keys.Close())
	}
	cmd.AddCommand(newKeysCreate(with), newKeysList(with), newKeysRevoke(with))
	return cmd
}

type withKeys func(*cobra.Command, func(context.Context, *app.Keys) error) error

func newKeysCreate(with withKeys) *cobra.Command {
	var workspace, name string
	var scopes []string
	var expires time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create a key and print it, this once",
		Example: "lockstep keys create --workspace my-team --name ci --scope update --expires-in 2160h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			parsed, err := control.ParseScopes(scopes)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, keys *app.Keys) error {
				key, err := keys.Create(ctx, workspace, name, parsed, expires)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), map[string]any{"key": key.Key, "id": key.Info.ID, "workspace": workspace})
				}
				if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "Key %s of workspace %s. It is not stored and cannot be shown again:\n", key.Info.ID, workspace); err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Key)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "default", "slug of the workspace; it is created when it is not there")
	cmd.Flags().StringVar(&name, "name", "cli", "name to tell the key apart")
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{string(control.ScopeUpdate)}, "read, update or admin")
	cmd.Flags().DurationVar(&expires, "expires-in", 0, "how long the key is valid; 0 for ever")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newKeysList(with withKeys) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, keys *app.Keys) error {
				list, err := keys.List(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), keyRows(list))
				}
				return printKeys(cmd.OutOrStdout(), list)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newKeysRevoke(with withKeys) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke KEY_ID",
		Short: "End a key at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, keys *app.Keys) error {
				if err := keys.Revoke(ctx, args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s.\n", args[0])
				return err
			})
		},
	}
}

// keyRow is a key as `keys list --json` shows it.
type keyRow struct {
	ID        string   `json:"id"`
	Workspace string   `json:"workspace"`
	Name      string   `json:"name"`
	Hint      string   `json:"hint"`
	Scopes    []string `json:"scopes"`
	State     string   `json:"state"`
	CreatedAt string   `json:"created_at"`
	ExpiresAt string   `json:"expires_at,omitempty"`
}

func keyRows(keys []control.KeyInfo) []keyRow {
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		row := keyRow{ID: k.ID, Workspace: k.Workspace, Name: k.Name, Hint: k.Hint, State: "active", CreatedAt: k.CreatedAt.Format(time.RFC3339)}
		for _, scope := range k.Scopes {
			row.Scopes = append(row.Scopes, string(scope))
		}
		if !k.ExpiresAt.IsZero() {
			row.ExpiresAt = k.ExpiresAt.Format(time.RFC3339)
			if time.Now().After(k.ExpiresAt) {
				row.State = "expired"
			}
		}
		if !k.RevokedAt.IsZero() {
			row.State = "revoked"
		}
		rows[i] = row
	}
	return rows
}

func printKeys(w io.Writer, keys []control.KeyInfo) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(t, "ID\tWORKSPACE\tNAME\tKEY\tSCOPES\tSTATE\tCREATED\tEXPIRES"); err != nil {
		return err
	}
	for _, k := range keyRows(keys) {
		if k.ExpiresAt == "" {
			k.ExpiresAt = "never"
		}
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\t…%s\t%s\t%s\t%s\t%s\n", k.ID, k.Workspace, k.Name, k.Hint,
			strings.Join(k.Scopes, ","), k.State, k.CreatedAt, k.ExpiresAt); err != nil {
			return err
		}
	}
	return t.Flush()
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
