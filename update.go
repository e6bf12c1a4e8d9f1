package lockstep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-cvm/lockstep/api"
)

// UpdateResult is what an update came to: *[InProgress] or *[Precondition], nothing else. Tell them
// apart with a type switch.
type UpdateResult interface{ updateResult() }

// InProgress says that the update was accepted and is being rolled out.
type InProgress struct {
	// CorrelationID names the operation; progress.correlation_id of the CVM shows it while it runs.
	CorrelationID string
	Message       string
}

func (*InProgress) updateResult() {}

// Precondition says that nothing was changed yet: the owner must first register the compose hash on
// the app's contract. Then the same file is sent again with [WithComposeHash] and
// [WithTransactionHash]. The server remembers the hash for 14 days.
type Precondition struct {
	// ComposeHash is 64 lower-case hex digits, without 0x.
	ComposeHash string
	// AppID is 40 lower-case hex digits, without 0x; with 0x it is the address of the contract.
	AppID string
	// DeviceID is the device the CVM runs on, which the contract must allow too; may be empty.
	DeviceID string
	// KMS names the chain and the KMS contract.
	KMS     api.KMSInfo
	Message string
	// CommitToken, CommitURL and APICommitURL are there when the server offers a commit without API
	// key. The token is a secret.
	CommitToken, CommitURL, APICommitURL string
	// Onchain is what the contract allows already; nil when the server did not say.
	Onchain     *api.OnchainStatus
	Suggestions []string
}

func (*Precondition) updateResult() {}

// UpdateOption adds the proof of phase 2 to an update.
type UpdateOption func(*updateSettings)

type updateSettings struct{ composeHash, transactionHash *string }

// WithComposeHash names the compose hash that phase 1 answered with.
func WithComposeHash(hash string) UpdateOption {
	return func(s *updateSettings) { s.composeHash = &hash }
}

// WithTransactionHash names the transaction that registered the compose hash, or
// [api.AlreadyRegistered] when it was registered before.
func WithTransactionHash(hash string) UpdateOption {
	return func(s *updateSettings) { s.transactionHash = &hash }
}

// UpdateDockerCompose replaces the Docker Compose file of a CVM. For a CVM whose KMS asks a contract,
// the first call answers with a *[Precondition] and changes nothing. The compose text is sent byte
// for byte; it must be the same in both phases.
//
// Bad input is a *[FieldError]; refusals are an *[APIError] (see the sentinels); a precondition
// without hash, app or KMS is a *[ResponseError].
//
// API: PATCH /cvms/{id}/docker-compose
func (c *Client) UpdateDockerCompose(ctx context.Context, cvmID, compose string, opts ...UpdateOption) (UpdateResult, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	if err := checkCompose(compose); err != nil {
		return nil, err
	}
	var s updateSettings
	for _, opt := range opts {
		opt(&s)
	}
	header, err := s.header()
	if err != nil {
		return nil, err
	}
	r := request{
		method:      http.MethodPatch,
		path:        "/cvms/" + id + "/docker-compose",
		contentType: api.MediaTypeYAML,
		body:        []byte(compose),
		header:      header,
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return preconditionOf(r, err)
	}
	var answer api.UpdateInProgress
	if err := decode(r, resp, &answer); err != nil {
		return nil, err
	}
	if answer.Status != api.UpdateStatusInProgress {
		return nil, &ResponseError{r.name(), resp.status, fmt.Sprintf("status is %q, want %q", answer.Status, api.UpdateStatusInProgress)}
	}
	if answer.CorrelationID == "" {
		return nil, &ResponseError{r.name(), resp.status, "correlation_id is missing"}
	}
	return &InProgress{CorrelationID: answer.CorrelationID, Message: answer.Message}, nil
}

// checkCompose applies the rules that a server cannot soften, before anything is sent.
func checkCompose(compose string) error {
	const field = "compose"
	switch {
	case strings.TrimSpace(compose) == "":
		return &FieldError{Field: field, Seen: "an empty document", Expected: "a Docker Compose file"}
	case len(compose) > api.MaxComposeSize:
		return &FieldError{Field: field, Seen: fmt.Sprintf("%d bytes", len(compose)), Expected: fmt.Sprintf("at most %d bytes", api.MaxComposeSize)}
	case !utf8.ValidString(compose):
		return &FieldError{Field: field, Seen: "bytes that are not UTF-8", Expected: "UTF-8 text"}
	}
	return nil
}

// header checks and returns the headers of phase 2. Values are passed on in the canonical form: the
// hosted service compares them as text.
func (s updateSettings) header() (map[string]string, error) {
	h := map[string]string{}
	if s.composeHash != nil {
		hash, err := api.ParseHash("compose_hash", *s.composeHash)
		if err != nil {
			return nil, err
		}
		h[api.HeaderComposeHash] = hash
	}
	if s.transactionHash != nil {
		tx, err := parseTransactionHash(*s.transactionHash)
		if err != nil {
			return nil, err
		}
		if s.composeHash == nil {
			return nil, &FieldError{Field: "compose_hash", Seen: "nothing", Expected: "the compose hash that the transaction registered"}
		}
		h[api.HeaderTransactionHash] = tx
	}
	return h, nil
}

// parseTransactionHash returns 0x and 64 lower-case hex digits, or the sentinel.
func parseTransactionHash(s string) (string, error) {
	if s == api.AlreadyRegistered {
		return s, nil
	}
	hash, err := api.ParseHash("transaction_hash", s)
	if err != nil {
		return "", &FieldError{Field: "transaction_hash", Seen: fmt.Sprintf("%.80q", s), Expected: fmt.Sprintf("0x and 64 hex digits, or %q", api.AlreadyRegistered)}
	}
	return "0x" + hash, nil
}

// preconditionOf turns a 465 into its result and passes every other error on.
func preconditionOf(r request, err error) (UpdateResult, error) {
	e, ok := errors.AsType[*APIError](err)
	if !ok || !e.IsComposePrecondition() {
		return nil, err
	}
	p, reason := readPrecondition(e)
	if reason != "" {
		return nil, fmt.Errorf("%w: %w", &ResponseError{r.name(), e.StatusCode, reason}, e)
	}
	return p, nil
}

// readPrecondition reads the details of a 465, or says why it cannot.
func readPrecondition(e *APIError) (*Precondition, string) {
	p := &Precondition{Message: e.Message, Suggestions: e.Suggestions}
	if len(e.Details) == 0 {
		return nil, "details is not a list of fields"
	}
	var kms bool
	for _, d := range e.Details {
		var err error
		switch d.Field {
		case api.DetailComposeHash:
			err = json.Unmarshal(d.Value, &p.ComposeHash)
		case api.DetailAppID:
			err = json.Unmarshal(d.Value, &p.AppID)
		case api.DetailDeviceID:
			err = json.Unmarshal(d.Value, &p.DeviceID)
		case api.DetailKMSInfo:
			err = json.Unmarshal(d.Value, &p.KMS)
			kms = len(d.Value) > 0 && d.Value[0] == '{'
		case api.DetailCommitToken:
			err = json.Unmarshal(d.Value, &p.CommitToken)
		case api.DetailCommitURL:
			err = json.Unmarshal(d.Value, &p.CommitURL)
		case api.DetailAPICommitURL:
			err = json.Unmarshal(d.Value, &p.APICommitURL)
		case api.DetailOnchainStatus:
			err = json.Unmarshal(d.Value, &p.Onchain)
		}
		if err != nil {
			return nil, fmt.Sprintf("detail %s: %v", d.Field, err)
		}
	}
	var err error
	if p.ComposeHash, err = api.ParseHash(api.DetailComposeHash, p.ComposeHash); err != nil {
		return nil, err.Error()
	}
	if p.AppID, err = api.ParseAppID(api.DetailAppID, p.AppID); err != nil {
		return nil, err.Error()
	}
	if !kms {
		return nil, "detail kms_info is missing or no object"
	}
	return p, ""
}
