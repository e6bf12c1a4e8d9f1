package demo

import (
	"context"
	"errors"
)

const (
	offChainAccepted = "off-chain: the update is accepted at once (202 in_progress)"
	offChainRolled   = "off-chain: it is rolled out"
	offChainSame     = "off-chain: what runs is what was sent, byte for byte"
	offChainAgain    = "off-chain: the same document again restarts nothing"
)

func (s *story) offChainUpdate() chapter {
	p := &proposal{compose: versionTwo()}
	return chapter{"An update with an off-chain KMS: the API key has the say", []step{
		{offChainAccepted, []string{bothRun}, func(ctx context.Context) (_ string, err error) {
			if p.expected, err = s.expect(ctx, &s.offChain, p.compose); err != nil {
				return "", err
			}
			if p.expected == s.offChain.running {
				return "", errors.New("the new version has the hash of the old one; nothing would be shown")
			}
			s.request(&s.offChain, p.compose)
			accepted, err := s.accepted(ctx, &s.offChain, p.compose)
			if err != nil {
				return "", err
			}
			return "202 in_progress, correlation id " + accepted.CorrelationID, nil
		}},
		{offChainRolled, []string{offChainAccepted}, func(ctx context.Context) (string, error) {
			return s.rolledOut(ctx, &s.offChain, p.expected)
		}},
		{offChainSame, []string{offChainRolled}, func(ctx context.Context) (string, error) {
			return s.agreement(ctx, &s.offChain, p)
		}},
		{offChainAgain, []string{offChainRolled}, func(ctx context.Context) (string, error) {
			return s.sameAgain(ctx, &s.offChain, p.compose)
		}},
	}}
}

// sameAgain sends the document that runs already.
func (s *story) sameAgain(ctx context.Context, cvm *subject, compose string) (string, error) {
	return "202, and the CVM was not touched", s.untouched(ctx, cvm, func() error {
		s.request(cvm, compose)
		_, err := s.accepted(ctx, cvm, compose)
		return err
	})
}
