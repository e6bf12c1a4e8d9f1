// Package kmstest serves the part of dstack-kms's RPC that anybody may call, backed by the embedded KMS, and lies on
// demand.
package kmstest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/kms/dstackkms"
	"github.com/lockstep-cvm/lockstep/internal/prpc"
)

// Server answers as a dstack-kms with the keys of Keys. Fields are set before it serves; lies with Lie.
type Server struct {
	Keys *kms.Dev
	Now  func() time.Time // default: time.Now

	mu  sync.Mutex
	lie Lie
}

// Lie is what is wrong with the answers.
type Lie struct {
	Signer       *kms.Dev      // signs, and derives, in place of Keys
	StampSigner  *kms.Dev      // signs the form with the time
	Skew         time.Duration // of the clock
	Unstamped    bool          // a KMS that is too old to sign the time
	OtherApp     bool          // the key of another app
	Refuse       string        // the text of an error
	Status       int           // of an answer by something else than a KMS
	Body         string        // of an answer with status 200
	SwapKeyBytes bool          // a key that nobody signed
}

// Lie changes what is wrong from now on.
func (s *Server) Lie(lie Lie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = lie
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	lie := s.lie
	s.mu.Unlock()
	if r.URL.Path == "/health" {
		_, _ = w.Write([]byte("OK")) // a client that went away is its own business
		return
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/prpc/")
	switch {
	case !ok:
		http.NotFound(w, r)
	case lie.Status != 0:
		http.Error(w, "somebody else", lie.Status)
	case lie.Body != "":
		_, _ = w.Write([]byte(lie.Body)) // as above
	case lie.Refuse != "":
		refuse(w, lie.Refuse)
	default:
		s.answer(w, r, strings.TrimPrefix(method, "KMS."), lie)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, method string, lie Lie) {
	var answer any
	var err error
	switch method {
	case "GetAppEnvEncryptPubKey":
		var request dstackkms.AppID
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			refuse(w, "Failed to decode request: "+err.Error())
			return
		}
		if len(request.AppID) != 20 {
			refuse(w, "Invalid app ID")
			return
		}
		answer, err = s.envKey(r, [20]byte(request.AppID), lie)
	case "GetMeta":
		answer, err = s.meta()
	default:
		refuse(w, "Method not found: "+method)
		return
	}
	if err != nil {
		refuse(w, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // as above
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Server) envKey(r *http.Request, app [20]byte, lie Lie) (any, error) {
	keys, stamper := s.Keys, s.Keys
	if lie.Signer != nil {
		keys, stamper = lie.Signer, lie.Signer
	}
	if lie.StampSigner != nil {
		stamper = lie.StampSigner
	}
	if lie.OtherApp {
		app[0]++
	}
	at := s.now().Add(lie.Skew)
	plain, err := keys.AppEnvKey(r.Context(), app)
	if err != nil {
		return nil, err
	}
	stamped, err := stamper.AppEnvKeyAt(r.Context(), app, at)
	if err != nil {
		return nil, err
	}
	answer := dstackkms.PublicKeyResponse{
		PublicKey: plain.PublicKey[:], Signature: plain.Signature[:], Timestamp: uint64(at.Unix()), SignatureV1: stamped.Signature[:],
	}
	if lie.Unstamped {
		answer.Timestamp, answer.SignatureV1 = 0, nil
	}
	if lie.SwapKeyBytes {
		answer.PublicKey[0] ^= 1
	}
	return answer, nil
}

func (s *Server) meta() (any, error) {
	ca, err := s.Keys.CAPublicKey()
	k256 := s.Keys.K256PublicKey()
	return dstackkms.Meta{K256Pubkey: k256[:], BootstrapInfo: dstackkms.BootstrapInfo{CAPubkey: ca, K256Pubkey: k256[:]}, IsDev: true}, err
}

func refuse(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(prpc.Error{Error: text}) // as above
}
