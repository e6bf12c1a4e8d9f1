package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/app"
)

// verifyFlags are the flags of `lockstep verify-history`.
type verifyFlags struct {
	client clientFlags
	app    string
	heads  []string
	save   string
	asJSON bool
}

func newVerifyHistory() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify-history [FILE]",
		Short: "Check the history of an app: nothing was removed, changed or reordered",
		Long: "Checks the hash chain of an app's history in a copy, which is the answers of GET /apps/{app_id}/history one\n" +
			"after another, without a server; a dash reads standard input. With --app the copy is fetched first: a\n" +
			"public history needs no API key.\n\n" +
			"Keep the head that it prints. With --head a later check shows that the history still is the one that was\n" +
			"seen: whoever runs the server could otherwise show a chain that is whole but another one. The exit code\n" +
			"is 1 when something is wrong.",
		Example: "lockstep verify-history --app 50d1…ee --save history.json\n" +
			"lockstep verify-history history.json --head 12:5f0c…9a",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.app, "app", "", "fetch the history of this app")
	flags.StringArrayVar(&f.heads, "head", nil, "a head that was seen before, SEQ:HASH; may be repeated")
	flags.StringVar(&f.save, "save", "", "keep the fetched copy in this file")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	f.client.add(flags)
	return cmd
}

func (f *verifyFlags) run(cmd *cobra.Command, args []string) error {
	if (f.app == "") == (len(args) == 0) {
		return fmt.Errorf("either a FILE (or a dash) or --app is needed")
	}
	var known []api.HistoryHead
	for _, text := range f.heads {
		head, err := history.ParseHead(text)
		if err != nil {
			return err
		}
		known = append(known, head)
	}
	copied, done, err := f.open(cmd, args)
	if err != nil {
		return err
	}
	defer done()
	result, err := history.Check(copied, known...)
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), result)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the history of %s is whole: %d entries, head %d:%s\n", result.AppID, result.Entries, result.Head.Seq, result.Head.Hash)
	return nil
}

// open gives the copy to check.
func (f *verifyFlags) open(cmd *cobra.Command, args []string) (copied io.Reader, done func(), err error) {
	done = func() {}
	switch {
	case f.app != "":
		b, err := f.fetch(cmd)
		return bytes.NewReader(b), done, err
	case args[0] == "-":
		return cmd.InOrStdin(), done, nil
	default:
		file, err := os.Open(args[0])
		if err != nil {
			return nil, done, err
		}
		return file, func() { _ = file.Close() }, nil // it was only read
	}
}

// fetch copies the history of an app, page by page, as the server has it.
func (f *verifyFlags) fetch(cmd *cobra.Command) ([]byte, error) {
	client, err := f.reader()
	if err != nil {
		return nil, err
	}
	id, err := api.ParseAppID("app", f.app)
	if err != nil {
		if id, err = appOf(cmd.Context(), client, f.app); err != nil {
			return nil, err
		}
	}
	var copied bytes.Buffer
	for after := uint64(0); ; {
		page, err := client.History(cmd.Context(), id, after, 1000)
		if err != nil {
			return nil, err
		}
		if err := json.NewEncoder(&copied).Encode(page); err != nil {
			return nil, err
		}
		if page.NextAfter == nil || *page.NextAfter <= after {
			break
		}
		after = *page.NextAfter
	}
	if f.save != "" {
		return copied.Bytes(), os.WriteFile(f.save, copied.Bytes(), 0o644) //nolint:gosec // what is checked is no secret
	}
	return copied.Bytes(), nil
}

// reader is a client that sends a key only if there is one: a public history needs none.
func (f *verifyFlags) reader() (*lockstep.Client, error) {
	if cmp.Or(f.client.apiKey, os.Getenv("LOCKSTEP_API_KEY"), os.Getenv(lockstep.EnvAPIKey)) != "" {
		return f.client.client()
	}
	return lockstep.NewClient(lockstep.WithUserAgent("lockstep-cli/"+app.Version()),
		lockstep.WithBaseURL(cmp.Or(f.client.apiURL, os.Getenv("LOCKSTEP_API_URL"))), lockstep.WithAPIKey("none"),
		lockstep.WithHTTPClient(&http.Client{Transport: keyless{}}))
}

// keyless takes the key away that the client needs to be made.
type keyless struct{}

// RoundTrip implements http.RoundTripper.
func (keyless) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.EqualFold(name, api.HeaderAPIKey) {
			delete(r.Header, name)
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}
