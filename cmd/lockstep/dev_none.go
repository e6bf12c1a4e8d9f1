//go:build serveronly

package main

import "github.com/spf13/cobra"

// devHint is empty: this program is for those who run a server.
const devHint = ""

// devCommands are none: a build for production carries no chain.
func devCommands() []*cobra.Command { return nil }
