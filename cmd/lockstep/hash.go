package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

func newHash() *cobra.Command {
	var document, canonical bool
	cmd := &cobra.Command{
		Use:   "hash FILE",
		Short: "Print the compose hash of an app-compose document",
		Long: "Prints the SHA-256 of the file's bytes as they are: the compose hash that a guest measures when it\n" +
			"is given exactly this file. A dash reads standard input.\n\n" +
			"With --document --canonical the document is first encoded again in the deterministic form that\n" +
			"@phala/dstack-sdk's getComposeHash hashes.",
		Example: "lockstep hash app-compose.json\nlockstep hash --document --canonical app-compose.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if canonical && !document {
				return errors.New("--canonical encodes a document again: give --document with it")
			}
			content, err := readInput(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			hash := appcompose.Hash(content)
			switch {
			case canonical:
				if hash, err = appcompose.CanonicalHash(content); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			case document:
				if _, err := appcompose.Parse(content); err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), hash)
			return err
		},
	}
	cmd.Flags().BoolVar(&document, "document", false, "make sure that the file is an app-compose document")
	cmd.Flags().BoolVar(&canonical, "canonical", false, "hash the deterministic encoding of the document, not its bytes")
	return cmd
}

// readInput reads a file, or standard input for a dash.
func readInput(stdin io.Reader, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}
