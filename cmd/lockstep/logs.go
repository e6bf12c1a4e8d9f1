package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// logsFlags are the flags of `lockstep logs`.
type logsFlags struct {
	client       clientFlags
	options      lockstep.LogOptions
	since, until string
	console      string
}

func newLogs() *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:   "logs CVM [CONTAINER]",
		Short: "Show the log of a container, or the console of a CVM",
		Long: "Shows the log of a container of a CVM; without CONTAINER that of the first one that shows its log.\n" +
			"Logs of containers are there only for documents with public_logs. The console is what the CVM writes\n" +
			"while it boots, and is there also when it does not run.",
		Example: "lockstep logs my-app\n" +
			"lockstep logs my-app dstack-web-1 --follow --tail 20\n" +
			"lockstep logs my-app --console serial",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.options.Follow, "follow", "f", false, "go on as lines come, until Ctrl-C")
	flags.IntVarP(&f.options.Tail, "tail", "n", 0, "only the last lines; 0 is all that is kept")
	flags.StringVar(&f.since, "since", "", "lines at or after a time, such as 2026-01-21T12:00:00Z or 5m for five minutes ago")
	flags.StringVar(&f.until, "until", "", "lines before a time, as --since")
	flags.BoolVarP(&f.options.Timestamps, "timestamps", "t", false, "begin each line with its time")
	flags.BoolVar(&f.options.Color, "color", false, "keep colours and other terminal sequences")
	flags.StringVar(&f.console, "console", "", "the console in place of a container: serial, stdout or stderr")
	f.client.add(flags)
	return cmd
}

func (f *logsFlags) run(cmd *cobra.Command, args []string) error {
	now := time.Now()
	for _, bound := range []struct {
		name, text string
		into       *time.Time
	}{{"since", f.since, &f.options.Since}, {"until", f.until, &f.options.Until}} {
		if bound.text == "" {
			continue
		}
		var err error
		if *bound.into, err = timeOrAge(bound.text, now); err != nil {
			return fmt.Errorf("--%s: %w", bound.name, err)
		}
	}
	if f.options.Tail < 0 {
		return fmt.Errorf("--tail: got %d, want a number of lines, or 0 for all", f.options.Tail)
	}
	client, err := f.client.client()
	if err != nil {
		return err
	}
	log, err := f.open(cmd.Context(), client, args)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read
	_, err = io.Copy(cmd.OutOrStdout(), log)
	if f.options.Follow && errors.Is(err, context.Canceled) {
		return nil // Ctrl-C is how one ends it
	}
	return err
}

func (f *logsFlags) open(ctx context.Context, client *lockstep.Client, args []string) (io.ReadCloser, error) {
	container := ""
	if len(args) > 1 {
		container = args[1]
	}
	switch f.console {
	case "":
		return client.ContainerLog(ctx, args[0], container, f.options)
	case api.LogChannelSerial, api.LogChannelStdout, api.LogChannelStderr:
		if container != "" {
			return nil, fmt.Errorf("--console shows the CVM, and %s names a container: want one of them", container)
		}
		return client.ConsoleLog(ctx, args[0], f.console, f.options)
	default:
		return nil, fmt.Errorf("--console: got %q, want serial, stdout or stderr", f.console)
	}
}

// timeOrAge reads a time as in RFC 3339, or how long ago it was.
func timeOrAge(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return time.Time{}, fmt.Errorf("got %q, want a time such as 2026-01-21T12:00:00Z, or an age such as 5m", text)
	}
	return now.Add(-age), nil
}
