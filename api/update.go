package api

// UpdateStatusInProgress is the only status of an accepted update.
const UpdateStatusInProgress = "in_progress"

// UpdateInProgress is the 202 answer of PATCH /cvms/{id}/docker-compose: the update was accepted and
// is being rolled out.
type UpdateInProgress struct {
	// Status is the literal "in_progress".
	Status  string `json:"status"`
	Message string `json:"message"`
	// CorrelationID names the operation; progress.correlation_id of the CVM shows it while it runs.
	CorrelationID string `json:"correlation_id"`
}

// Field names inside the details of a 465 answer. Values are JSON of the given type, never null.
const (
	// DetailComposeHash is a string of 64 hex digits, without 0x.
	DetailComposeHash = "compose_hash"
	// DetailAppID is a string of 40 hex digits, without 0x.
	DetailAppID = "app_id"
	// DetailDeviceID is a string of 64 hex digits.
	DetailDeviceID = "device_id"
	// DetailKMSInfo is a [KMSInfo].
	DetailKMSInfo = "kms_info"
	// DetailCommitToken is a UUID; with it the update can be committed without an API key.
	DetailCommitToken = "commit_token"
	// DetailCommitURL is the page where a person commits.
	DetailCommitURL = "commit_url"
	// DetailAPICommitURL is the operation that commits.
	DetailAPICommitURL = "api_commit_url"
	// DetailOnchainStatus is an [OnchainStatus].
	DetailOnchainStatus = "onchain_status"
)

// OnchainStatus says what the app's contract allows at the time of a 465 answer.
type OnchainStatus struct {
	ComposeHashAllowed bool `json:"compose_hash_allowed"`
	DeviceIDAllowed    bool `json:"device_id_allowed"`
	IsAllowed          bool `json:"is_allowed"`
}
