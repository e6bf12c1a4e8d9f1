package lockstep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// ListOptions bounds a listing.
type ListOptions struct {
	// PageSize is how many items are fetched at once; 0 is the server's choice. For CVMs at most 100.
	PageSize int
}

// ListCVMs returns the CVMs of the workspace, fetching page after page while it is ranged over. An
// error ends the sequence.
//
// API: GET /cvms/paginated
func (c *Client) ListCVMs(ctx context.Context, opts ListOptions) iter.Seq2[*api.CVM, error] {
	return pages[api.CVM](ctx, c, request{method: http.MethodGet, path: "/cvms/paginated", version: api.Version20260121}, url.Values{}, opts)
}

// pages ranges over all items of a paginated listing.
func pages[T any](ctx context.Context, c *Client, r request, query url.Values, opts ListOptions) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		query := maps.Clone(query) // each range has its own
		if opts.PageSize > 0 {
			query.Set("page_size", strconv.Itoa(opts.PageSize))
		}
		for page := 1; ; page++ {
			query.Set("page", strconv.Itoa(page))
			r.query = query
			var out api.Page[T]
			if err := c.call(ctx, r, nil, &out); err != nil {
				yield(nil, err)
				return
			}
			for i := range out.Items {
				if !yield(&out.Items[i], nil) {
					return
				}
			}
			if page >= out.Pages || len(out.Items) == 0 {
				return
			}
		}
	}
}

// GetCVM returns a CVM by any of its identifiers.
//
// API: GET /cvms/{id}
func (c *Client) GetCVM(ctx context.Context, cvmID string) (*api.CVMDetail, error) {
	var out api.CVMDetail
	if err := c.getCVM(ctx, cvmID, "", api.Version20260121, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVM20251028 returns a CVM in the older shape, which has the id and slug of its KMS.
//
// API: GET /cvms/{id}
func (c *Client) GetCVM20251028(ctx context.Context, cvmID string) (*api.CVMDetail20251028, error) {
	var out api.CVMDetail20251028
	if err := c.getCVM(ctx, cvmID, "", api.Version20251028, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVMState returns what a CVM does at the moment.
//
// API: GET /cvms/{id}/state
func (c *Client) GetCVMState(ctx context.Context, cvmID string) (*api.CVMState, error) {
	var out api.CVMState
	if err := c.getCVM(ctx, cvmID, "/state", "", &out); err != nil {
		return nil, err
	}
	return &out, nil
}

func (c *Client) getCVM(ctx context.Context, cvmID, suffix string, version api.Version, out any) error {
	id, err := segment(cvmID)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: http.MethodGet, path: "/cvms/" + id + suffix, version: version}, nil, out)
}

// ComposeFile is the app-compose document of a CVM: the bytes whose hash is approved on chain.
type ComposeFile struct{ raw []byte }

// Bytes returns the document as the server sent it. It must not be changed.
func (f *ComposeFile) Bytes() []byte { return f.raw }

// Hash returns the SHA-256 of the bytes: 64 lower-case hex digits. It is the compose hash when the
// server sends the document as it is stored, which a Lockstep server does.
func (f *ComposeFile) Hash() string { return sha256Hex(f.raw) }

// Decode reads the document into a Go value. Encoding that value again gives other bytes with another
// hash.
func (f *ComposeFile) Decode(v any) error {
	if err := json.Unmarshal(f.raw, v); err != nil {
		return fmt.Errorf("lockstep: decode the app-compose document: %w", err)
	}
	return nil
}

// GetCVMComposeFile returns the app-compose document of a CVM, byte for byte.
//
// API: GET /cvms/{id}/compose_file
func (c *Client) GetCVMComposeFile(ctx context.Context, cvmID string) (*ComposeFile, error) {
	body, err := c.getDocument(ctx, cvmID, "/compose_file", api.MediaTypeJSON)
	if err != nil {
		return nil, err
	}
	return &ComposeFile{body}, nil
}

// GetDockerCompose returns the Docker Compose file of a CVM.
//
// API: GET /cvms/{id}/docker-compose.yml
func (c *Client) GetDockerCompose(ctx context.Context, cvmID string) (string, error) {
	body, err := c.getDocument(ctx, cvmID, "/docker-compose.yml", "text/*, application/json;q=0.9")
	return string(body), err
}

// getDocument returns a document as it came, or the text of a JSON string, in which the hosted service
// declares texts to be wrapped.
func (c *Client) getDocument(ctx context.Context, cvmID, suffix, accept string) ([]byte, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, request{method: http.MethodGet, path: "/cvms/" + id + suffix, accept: accept})
	if err != nil {
		return nil, err
	}
	var s string
	if isJSON(resp.header.Get("Content-Type")) && json.Unmarshal(resp.body, &s) == nil {
		return []byte(s), nil
	}
	return resp.body, nil
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
