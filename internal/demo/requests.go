package demo

import (
	"context"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
)

const (
	brokenBody    = "request: broken YAML is refused (422), with the line"
	emptyBody     = "request: an empty body is refused (400)"
	hugeBody      = "request: 200 KiB and one byte are refused (413)"
	unknownCVM    = "request: an unknown CVM is not found (404)"
	noKey         = "request: no API key is no access (401)"
	foreignKey    = "request: a key of another workspace finds no such CVM (404)"
	requestsNoted = "request: none of that touched the CVM"
)

func (s *story) refusedRequests() chapter {
	needs := []string{bothRun}
	before := new(string)
	// by sends an update that has to be refused.
	by := func(name, cvm string, key func() string, body string, want refusal) step {
		return step{name, needs, func(ctx context.Context) (string, error) {
			s.page.say(client, "PATCH /cvms/%s/docker-compose, text/yaml, %d bytes", cvm, len(body))
			return s.refused(s.patch(ctx, cvm, key(), body), want)
		}}
	}
	mine := func() string { return s.ready.APIKey }
	foreign := func() string { return s.ready.SecondAPIKey }
	none := func() string { return "" }
	const cvm, missing = "demo-offchain", "no-such-cvm"
	first := by(brokenBody, cvm, mine, brokenYAML, refusal{http.StatusUnprocessableEntity, api.CodeInvalidComposeFile, "line"})
	return chapter{"Refused: requests that are wrong", []step{
		{first.name, needs, func(ctx context.Context) (string, error) {
			status, err := s.node.Status(ctx, s.offChain.VMUUID)
			if err != nil {
				return "", err
			}
			*before = bootOf(status)
			return first.run(ctx)
		}},
		by(emptyBody, cvm, mine, "", refusal{http.StatusBadRequest, api.CodeComposeFileRequired, "empty"}),
		by(hugeBody, cvm, mine, tooLarge(), refusal{http.StatusRequestEntityTooLarge, api.CodeInvalidComposeFile, "too large"}),
		by(unknownCVM, missing, mine, versionThree(), refusal{http.StatusNotFound, api.CodeCVMNotFound, "not found"}),
		by(noKey, cvm, none, versionThree(), refusal{http.StatusUnauthorized, "", "key"}),
		by(foreignKey, cvm, foreign, versionThree(), refusal{http.StatusNotFound, api.CodeCVMNotFound, "not found"}),
		{requestsNoted, needs, func(ctx context.Context) (string, error) {
			status, err := s.node.Status(ctx, s.offChain.VMUUID)
			if err != nil {
				return "", err
			}
			s.page.say(node, "%s still runs, in the same boot", short(status.RunningHash.String()))
			return "not restarted", same("the boot that runs", *before, bootOf(status))
		}},
	}}
}
