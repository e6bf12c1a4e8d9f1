package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// updateDockerCompose is PATCH /cvms/{id}/docker-compose, both phases.
func (s *Server) updateDockerCompose(w http.ResponseWriter, r *http.Request, c *call) error {
	yaml, err := readCompose(w, r)
	if err != nil {
		return err
	}
	shutdown, err := shutdownQuery(r.URL.Query())
	if err != nil {
		return err
	}
	outcome, err := s.domain.UpdateCompose(r.Context(), c.principal, c.params["id"], control.ComposeUpdate{
		YAML:            yaml,
		ComposeHash:     r.Header.Get(api.HeaderComposeHash),
		TransactionHash: r.Header.Get(api.HeaderTransactionHash),
		Shutdown:        shutdown,
	})
	if err != nil {
		return err
	}
	if outcome.Precondition != nil {
		return registrationRequired(outcome.Precondition)
	}
	accepted := outcome.Accepted
	message := "The update was accepted and is being rolled out"
	if accepted.Unchanged {
		message = "The CVM runs this Docker Compose file already; nothing was restarted"
	}
	s.json(w, http.StatusAccepted, api.UpdateInProgress{
		Status: api.UpdateStatusInProgress, Message: message, CorrelationID: accepted.Update.CorrelationID,
	})
	return nil
}

// registrationRequired is the 465 answer to phase 1: what the owner has to register, and how.
func registrationRequired(need *control.Precondition) *problem.Error {
	hash, contract := need.Update.ComposeHash.String(), "0x"+need.AppID
	where := contract
	if need.KMS.ChainID != nil {
		where = fmt.Sprintf("%s on chain %d", contract, *need.KMS.ChainID)
	}
	return problem.New(problem.KindHashRequired, api.CodeHashRegistrationRequired, "Compose hash registration required on-chain").
		With(api.DetailComposeHash, hash, "").
		With(api.DetailAppID, need.AppID, "").
		With(api.DetailDeviceID, need.DeviceID, "").
		With(api.DetailKMSInfo, need.KMS, "").
		Suggest("The owner of the app calls addComposeHash(0x%s) on %s: cast send %s 'addComposeHash(bytes32)' 0x%s", hash, where, contract, hash).
		Suggest("If the contract does not allow any device, it must allow this one: addDevice(0x%s).", need.DeviceID).
		Suggest("Then repeat this request with the same body and the headers %s: %s and %s: <hash of the transaction>, before %s.",
			api.HeaderComposeHash, hash, api.HeaderTransactionHash, need.Update.ExpiresAt.UTC().Format(time.RFC3339))
}
