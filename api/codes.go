package api

import (
	"net/http"
	"slices"
)

// Statuses of the two-phase flow beyond RFC 9110.
const (
	// StatusHashRegistrationRequired: register the compose hash on chain, then repeat with proof.
	StatusHashRegistrationRequired = 465
	// StatusHashInvalidOrExpired: the hash or token is unknown, older than 14 days, superseded, or
	// does not belong to the content sent.
	StatusHashInvalidOrExpired = 466
	// StatusTxVerificationFailed: the transaction is missing, reverted, or did something else.
	StatusTxVerificationFailed = 467
	// StatusHashNotAllowed: the contract does not allow the hash now.
	StatusHashNotAllowed = 468
)

// ErrorCode is the member error_code of a structured error: ERR-<module>-<number>.
type ErrorCode string

// The error codes, by module: 01 hashes and compose files, 02 inventory, 03 CVM operations,
// 04 workspaces, 05 credentials, 06 sign-in.
const (
	CodeNodeNotFound             ErrorCode = "ERR-01-001"
	CodeComposeFileRequired      ErrorCode = "ERR-01-002"
	CodeInvalidComposeFile       ErrorCode = "ERR-01-003"
	CodeDuplicateCVMName         ErrorCode = "ERR-01-004"
	CodeHashRegistrationRequired ErrorCode = "ERR-01-005"
	CodeHashInvalidOrExpired     ErrorCode = "ERR-01-006"
	CodeTxVerificationFailed     ErrorCode = "ERR-01-007"
	CodeHashNotAllowed           ErrorCode = "ERR-01-008"

	CodeInstanceTypeNotFound      ErrorCode = "ERR-02-001"
	CodeResourceNotAvailable      ErrorCode = "ERR-02-002"
	CodeInsufficientVCPU          ErrorCode = "ERR-02-003"
	CodeInsufficientMemory        ErrorCode = "ERR-02-004"
	CodeInsufficientSlots         ErrorCode = "ERR-02-005"
	CodeGPUAllocationError        ErrorCode = "ERR-02-006"
	CodeInsufficientGPU           ErrorCode = "ERR-02-007"
	CodeInvalidRequest            ErrorCode = "ERR-02-008"
	CodeIncompatibleConfig        ErrorCode = "ERR-02-009"
	CodeImageNotFound             ErrorCode = "ERR-02-010"
	CodeKMSNotFound               ErrorCode = "ERR-02-011"
	CodeTeepodNotAccessible       ErrorCode = "ERR-02-012"
	CodeOSImageNotCompatible      ErrorCode = "ERR-02-013"
	CodeNodeCapacityNotConfigured ErrorCode = "ERR-02-014"
	CodeQuotaExceeded             ErrorCode = "ERR-02-015"
	CodeGPUDeviceInUse            ErrorCode = "ERR-02-016"

	CodeCVMNotFound                ErrorCode = "ERR-03-001"
	CodeMultipleCVMsSameName       ErrorCode = "ERR-03-002"
	CodeCVMNotInWorkspace          ErrorCode = "ERR-03-003"
	CodeCVMNotInWorkspaceHidden    ErrorCode = "ERR-03-004"
	CodeCVMAccessDenied            ErrorCode = "ERR-03-005"
	CodeReplicaImageNotAvailable   ErrorCode = "ERR-03-006"
	CodeCVMAppIDConflict           ErrorCode = "ERR-03-007"
	CodeReplicaSourceNotAccessible ErrorCode = "ERR-03-008"
	CodeReplicaHashRequired        ErrorCode = "ERR-03-009"
	CodeMultipleCVMsForIdentifier  ErrorCode = "ERR-03-010"

	CodeInsufficientBalance   ErrorCode = "ERR-04-001"
	CodeMaxCVMLimit           ErrorCode = "ERR-04-002"
	CodeResourceLimitExceeded ErrorCode = "ERR-04-003"

	CodeTokenLimitExceeded ErrorCode = "ERR-05-001"
	CodeTokenRateLimit     ErrorCode = "ERR-05-002"

	CodeOAuthEmailInvalid ErrorCode = "ERR-06-001"
)

// CodeInfo describes one error code.
type CodeInfo struct {
	Code ErrorCode
	// Name is the constant's name in the JavaScript SDK, or one in its style where it has none.
	Name string
	// Status is the documented HTTP status, or the one its meaning asks for.
	Status int
	// Meaning is one line for people.
	Meaning string
}

var catalogue = []CodeInfo{
	{CodeNodeNotFound, "NODE_NOT_FOUND", http.StatusNotFound, "the requested node does not exist"},
	{CodeComposeFileRequired, "COMPOSE_FILE_REQUIRED", http.StatusBadRequest, "the compose file is missing"},
	{CodeInvalidComposeFile, "INVALID_COMPOSE_FILE", http.StatusBadRequest, "the compose file is not valid"},
	{CodeDuplicateCVMName, "DUPLICATE_CVM_NAME", http.StatusConflict, "the name is in use in this workspace"},
	{CodeHashRegistrationRequired, "HASH_REGISTRATION_REQUIRED", StatusHashRegistrationRequired, "the compose hash must be registered on chain first"},
	{CodeHashInvalidOrExpired, "HASH_INVALID_OR_EXPIRED", StatusHashInvalidOrExpired, "the compose hash or token is unknown, expired or superseded"},
	{CodeTxVerificationFailed, "TX_VERIFICATION_FAILED", StatusTxVerificationFailed, "the transaction does not prove the registration"},
	{CodeHashNotAllowed, "HASH_NOT_ALLOWED", StatusHashNotAllowed, "the contract does not allow the compose hash"},

	{CodeInstanceTypeNotFound, "INSTANCE_TYPE_NOT_FOUND", http.StatusNotFound, "the instance type is unknown"},
	{CodeResourceNotAvailable, "RESOURCE_NOT_AVAILABLE", http.StatusBadRequest, "no node can satisfy the request"},
	{CodeInsufficientVCPU, "INSUFFICIENT_VCPU", http.StatusBadRequest, "the node lacks free vCPU"},
	{CodeInsufficientMemory, "INSUFFICIENT_MEMORY", http.StatusBadRequest, "the node lacks free memory"},
	{CodeInsufficientSlots, "INSUFFICIENT_SLOTS", http.StatusBadRequest, "the node has no free CVM slot"},
	{CodeGPUAllocationError, "GPU_ALLOCATION_ERROR", http.StatusInternalServerError, "a GPU could not be assigned"},
	{CodeInsufficientGPU, "INSUFFICIENT_GPU", http.StatusBadRequest, "the node lacks free GPUs"},
	{CodeInvalidRequest, "INVALID_REQUEST", http.StatusBadRequest, "the request contradicts itself"},
	{CodeIncompatibleConfig, "INCOMPATIBLE_CONFIG", http.StatusBadRequest, "these settings cannot be combined"},
	{CodeImageNotFound, "IMAGE_NOT_FOUND", http.StatusBadRequest, "the OS image is unknown"},
	{CodeKMSNotFound, "KMS_NOT_FOUND", http.StatusBadRequest, "the node has no such KMS"},
	{CodeTeepodNotAccessible, "TEEPOD_NOT_ACCESSIBLE", http.StatusForbidden, "the workspace may not use this node"},
	{CodeOSImageNotCompatible, "OS_IMAGE_NOT_COMPATIBLE", http.StatusBadRequest, "no OS image fits the request"},
	{CodeNodeCapacityNotConfigured, "NODE_CAPACITY_NOT_CONFIGURED", http.StatusBadRequest, "the capacity of the node is not configured"},
	{CodeQuotaExceeded, "QUOTA_EXCEEDED", http.StatusBadRequest, "the workspace quota would be exceeded"},
	{CodeGPUDeviceInUse, "GPU_DEVICE_IN_USE", http.StatusConflict, "the GPU is already in use"},

	{CodeCVMNotFound, "CVM_NOT_FOUND", http.StatusNotFound, "there is no such CVM"},
	{CodeMultipleCVMsSameName, "MULTIPLE_CVMS_SAME_NAME", http.StatusBadRequest, "several CVMs have this name"},
	{CodeCVMNotInWorkspace, "CVM_NOT_IN_WORKSPACE", http.StatusNotFound, "the CVM is in another workspace"},
	{CodeCVMNotInWorkspaceHidden, "CVM_NOT_IN_WORKSPACE_HIDDEN", http.StatusNotFound, "there is no such CVM in this workspace"},
	{CodeCVMAccessDenied, "CVM_ACCESS_DENIED", http.StatusNotFound, "there is no such CVM for this user"},
	{CodeReplicaImageNotAvailable, "REPLICA_IMAGE_NOT_AVAILABLE", http.StatusBadRequest, "the target node lacks the OS image of the source"},
	{CodeCVMAppIDConflict, "CVM_APP_ID_CONFLICT", http.StatusConflict, "the app id is active with another configuration"},
	{CodeReplicaSourceNotAccessible, "REPLICA_SOURCE_NOT_ACCESSIBLE", http.StatusNotFound, "there is no such replica source"},
	{CodeReplicaHashRequired, "REPLICA_COMPOSE_HASH_REQUIRED", http.StatusBadRequest, "the app has several configurations: name a compose hash"},
	{CodeMultipleCVMsForIdentifier, "MULTIPLE_CVMS_FOR_IDENTIFIER", http.StatusBadRequest, "several CVMs match this identifier"},

	{CodeInsufficientBalance, "INSUFFICIENT_BALANCE", http.StatusBadRequest, "the balance is too low"},
	{CodeMaxCVMLimit, "MAX_CVM_LIMIT", http.StatusBadRequest, "the limit of CVMs is reached"},
	{CodeResourceLimitExceeded, "RESOURCE_LIMIT_EXCEEDED", http.StatusBadRequest, "a limit of the account is reached"},

	{CodeTokenLimitExceeded, "TOKEN_LIMIT_EXCEEDED", http.StatusBadRequest, "the limit of API keys is reached"},
	{CodeTokenRateLimit, "TOKEN_RATE_LIMIT", http.StatusTooManyRequests, "API keys are created too fast"},

	{CodeOAuthEmailInvalid, "OAUTH_EMAIL_INVALID", http.StatusBadRequest, "the sign-in has no usable e-mail address"},
}

// Catalogue returns all error codes in their order.
func Catalogue() []CodeInfo { return slices.Clone(catalogue) }

// Lookup returns the description of a code.
func (c ErrorCode) Lookup() (CodeInfo, bool) {
	for _, info := range catalogue {
		if info.Code == c {
			return info, true
		}
	}
	return CodeInfo{}, false
}

// HTTPStatus returns the status a code is sent with; 400 for a code that is not in the catalogue.
// [CodeInvalidComposeFile] is sent with 422 by the compose_file operations.
func (c ErrorCode) HTTPStatus() int {
	if info, ok := c.Lookup(); ok {
		return info.Status
	}
	return http.StatusBadRequest
}
