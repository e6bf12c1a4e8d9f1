package api

import "encoding/json"

// Revision is an item of GET /apps/{app_id}/revisions: a document that was accepted for a CVM (schema
// AppRevisionResponse). It never changes.
type Revision struct {
	RevisionID  string `json:"revision_id"`
	AppID       string `json:"app_id"`
	VMUUID      string `json:"vm_uuid"`
	ComposeHash string `json:"compose_hash"`
	CreatedAt   string `json:"created_at"`
	// TraceID is the correlation id of the update that made it.
	TraceID *string `json:"trace_id"`
	// OperationType is deploy, update or restart.
	OperationType string        `json:"operation_type"`
	TriggeredBy   *UserRef      `json:"triggered_by"`
	CVM           *CVMRef       `json:"cvm"`
	Workspace     *WorkspaceRef `json:"workspace"`

	// The rest is beyond the hosted API.

	// Status is the state of the update that made it, such as succeeded or rolled_back.
	Status string `json:"status,omitempty"`
	// Reason says why that update is in this state; Error what went wrong with the revision, in the guest's
	// own words and with the last lines of its log where there are any.
	Reason     string  `json:"reason,omitempty"`
	Error      string  `json:"error,omitempty"`
	FinishedAt *string `json:"finished_at,omitempty"`
	// Approval is what was seen on chain; nil with an off-chain KMS.
	Approval *RevisionApproval `json:"approval,omitempty"`
}

// RevisionApproval is the approval of a revision by the owner of the app's contract.
type RevisionApproval struct {
	TransactionHash *string `json:"transaction_hash"` // null when it was approved without naming one
	BlockNumber     *int64  `json:"block_number"`
	Owner           *string `json:"owner"` // of the contract at that time, EIP-55 with 0x; null when not known
}

// RevisionDetail is the answer of GET /apps/{app_id}/revisions/{revision_id} (schema
// AppRevisionDetailResponse).
type RevisionDetail struct {
	Revision
	// ComposeFile is the app-compose document: a JSON object, or with raw_compose_file=true a string whose
	// bytes have the compose hash.
	ComposeFile json.RawMessage `json:"compose_file"`
	// EncryptedEnv is empty on a Lockstep server: the environment belongs to the CVM, not to a revision.
	EncryptedEnv string `json:"encrypted_env"`
	UserConfig   string `json:"user_config"`
}

// Revisions is the answer of GET /apps/{app_id}/revisions, newest first. Pages count from 1.
type Revisions struct {
	Revisions  List[Revision] `json:"revisions"`
	Total      int            `json:"total"`
	Page       int            `json:"page"`
	PageSize   int            `json:"page_size"`
	TotalPages int            `json:"total_pages"`
}

// RedeployRequest is the body of POST /apps/{app_id}/revisions/{revision_id}/redeploy.
type RedeployRequest struct {
	// VMUUIDs are the CVMs that are meant; they may be left out when the app has one.
	VMUUIDs []string `json:"vm_uuids,omitempty"`
}

// Redeployed is the 202 answer to it, and with one CVM that of POST
// /cvms/{id}/revisions/{revision_id}/redeploy.
type Redeployed struct {
	// Status is the literal "in_progress".
	Status  string `json:"status"`
	Message string `json:"message"`
	// CorrelationID names the operation of the first CVM.
	CorrelationID string              `json:"correlation_id"`
	CVMs          List[RedeployedCVM] `json:"cvms"`
}

// RedeployedCVM is what a redeploy does to one CVM.
type RedeployedCVM struct {
	VMUUID        string `json:"vm_uuid"`
	CorrelationID string `json:"correlation_id"`
	// Unchanged tells that the CVM runs the document already, so nothing was restarted.
	Unchanged bool `json:"unchanged"`
}
