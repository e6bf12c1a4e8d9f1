package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

const (
	// maxComposeBody is a little above what the domain allows, so that its own error, which counts the
	// pre-launch script in, is what people see near the limit.
	maxComposeBody = api.MaxComposeSize + 8<<10
	// maxFormBody leaves room for the frame of a form around the file.
	maxFormBody = maxComposeBody + 16<<10
	// maxJSONBody fits a compose file of the greatest size with every byte escaped, and an environment.
	maxJSONBody = 4 << 20
	// maxDrain is how much of a body that is too large is still taken, so that a client that first sends
	// everything gets to read the answer.
	maxDrain = 16 << 20
)

// readBody reads a body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(r, err)
	}
	return b, nil
}

func bodyError(r *http.Request, err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // for the client's sake; nothing depends on it
		return problem.New(problem.KindTooLarge, api.CodeInvalidComposeFile, "the request body is too large").
			With("body", fmt.Sprintf("more than %d bytes", tooLarge.Limit), fmt.Sprintf("a Docker Compose file and pre-launch script of at most %d bytes together", api.MaxComposeSize)).
			Suggest("Move large content into an image or a volume.")
	}
	if r.Context().Err() != nil {
		return r.Context().Err()
	}
	return problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the request body could not be read").Because(err)
}

// decodeJSON reads a JSON body into a request of the API. Members that it does not know are left alone:
// the SDK passes on whatever its caller adds.
func decodeJSON(w http.ResponseWriter, r *http.Request, into any) error {
	b, err := readBody(w, r, maxJSONBody)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return invalidAt("missing", "a JSON object is required", "body")
	}
	return unmarshal(b, into)
}

// decodeOptional is decodeJSON for a body that may be left out.
func decodeOptional(w http.ResponseWriter, r *http.Request, into any) error {
	b, err := readBody(w, r, maxJSONBody)
	if err != nil || len(b) == 0 {
		return err
	}
	return unmarshal(b, into)
}

func unmarshal(b []byte, into any) error {
	err := json.Unmarshal(b, into)
	if err == nil {
		return nil
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		loc := []any{"body"}
		if mismatch.Field != "" {
			for name := range strings.SplitSeq(mismatch.Field, ".") {
				loc = append(loc, name)
			}
		}
		return invalidAt("type_error", fmt.Sprintf("got a JSON %s, want %s", mismatch.Value, mismatch.Type), loc...)
	}
	return invalidAt("json_invalid", err.Error(), "body")
}

// composeFileField is the form field that carries the Docker Compose file.
const composeFileField = "file"

const wantedMedia = "text/yaml, application/yaml, application/x-yaml or text/plain with the file as the body, " +
	"or multipart/form-data with the file in the field " + composeFileField

// readCompose reads the Docker Compose file of a PATCH, byte for byte.
func readCompose(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	header := r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		return nil, unsupportedMedia(header).Because(err)
	}
	switch media {
	case api.MediaTypeYAML, api.MediaTypeText, "text/x-yaml", "application/yaml", "application/x-yaml":
		// A document in another encoding would be hashed as one thing and read as another.
		switch strings.ToLower(params["charset"]) {
		case "", "utf-8", "utf8", "us-ascii":
		default:
			return nil, unsupportedMedia(header).Suggest("Send the file in UTF-8.")
		}
		return readBody(w, r, maxComposeBody)
	case "multipart/form-data":
		return readComposeForm(w, r, params["boundary"])
	}
	return nil, unsupportedMedia(header)
}

func unsupportedMedia(seen string) *problem.Error {
	return problem.New(problem.KindUnsupportedMedia, api.CodeComposeFileRequired, "unsupported Content-Type %q: expected %s", clip(seen), wantedMedia).
		With("Content-Type", clip(seen), wantedMedia).
		Suggest("Send the YAML text as the request body, with Content-Type: text/yaml.")
}

func readComposeForm(w http.ResponseWriter, r *http.Request, boundary string) ([]byte, error) {
	if boundary == "" {
		return nil, unsupportedMedia(r.Header.Get("Content-Type")).Suggest("Name the boundary of the form in Content-Type.")
	}
	form := multipart.NewReader(http.MaxBytesReader(w, r.Body, maxFormBody), boundary)
	var file []byte
	found := false
	for {
		part, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // multipart returns io.EOF itself at the end of the form
			break
		}
		if err != nil {
			return nil, bodyError(r, err)
		}
		if part.FormName() != composeFileField {
			continue
		}
		if found {
			return nil, formProblem("the form has more than one field " + composeFileField)
		}
		found = true
		if file, err = io.ReadAll(part); err != nil {
			return nil, bodyError(r, err)
		}
	}
	if !found {
		return nil, formProblem("the form has no field " + composeFileField)
	}
	return file, nil
}

func formProblem(message string) *problem.Error {
	return problem.New(problem.KindInvalid, api.CodeComposeFileRequired, "%s", message).
		With(composeFileField, "", "one file: the Docker Compose file").
		Suggest("For example: curl -X PATCH -F file=@docker-compose.yml …")
}
