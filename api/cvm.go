package api

import "encoding/json"

// CVM is one item of GET /cvms/paginated in version 2026-01-21 (schema CvmInfoV20260121).
type CVM struct {
	// ID is opaque and begins with "cvm_".
	ID   string `json:"id"`
	Name string `json:"name"`
	// AppID is 40 hex digits in lower case, without 0x.
	AppID *string `json:"app_id"`
	// VMUUID is a lower-case UUID with dashes.
	VMUUID     *string     `json:"vm_uuid"`
	InstanceID *string     `json:"instance_id"`
	Resource   CVMResource `json:"resource"`
	NodeInfo   *NodeRef    `json:"node_info"`
	OS         *CVMOS      `json:"os"`
	KMSType    *KMSType    `json:"kms_type"`
	KMSInfo    *CVMKMSInfo `json:"kms_info"`
	Status     CVMStatus   `json:"status"`
	// InProgress is dropped by the JavaScript clients; they look at progress.target.
	InProgress bool         `json:"in_progress"`
	Progress   *CVMProgress `json:"progress"`
	// ComposeHash is the SHA-256 of the app-compose document: 64 hex digits, without 0x.
	ComposeHash *string `json:"compose_hash"`
	// DockerComposeHash and PreLaunchScriptHash are the SHA-256 of those two texts alone.
	DockerComposeHash   *string    `json:"docker_compose_hash"`
	PreLaunchScriptHash *string    `json:"pre_launch_script_hash"`
	Gateway             CVMGateway `json:"gateway"`

	Logs     *CVMLogURLs      `json:"logs,omitempty"`
	Services []map[string]any `json:"services,omitzero"`
	// Endpoints may be null.
	Endpoints []NetworkURLs `json:"endpoints"`

	PublicLogs     *bool  `json:"public_logs,omitempty"`
	PublicSysinfo  *bool  `json:"public_sysinfo,omitempty"`
	PublicTcbinfo  *bool  `json:"public_tcbinfo,omitempty"`
	GatewayEnabled *bool  `json:"gateway_enabled,omitempty"`
	SecureTime     *bool  `json:"secure_time,omitempty"`
	Listed         bool   `json:"listed"`
	StorageFS      string `json:"storage_fs,omitempty"`

	Workspace *WorkspaceRef `json:"workspace"`
	Creator   *UserRef      `json:"creator"`
	// CreatedAt and DeletedAt are ISO 8601; the hosted service may leave out the zone (then UTC).
	CreatedAt   *string `json:"created_at"`
	DeletedAt   *string `json:"deleted_at"`
	ProjectType *string `json:"project_type"`
}

// CVMDetail is the answer of GET /cvms/{id} in version 2026-01-21 (schema CvmInfoDetailV20260121).
type CVMDetail struct {
	CVM
	// ComposeFile is the app-compose document as an object, as a string, or null. It went through a
	// JSON encoder and must not be hashed; GET /cvms/{id}/compose_file has the bytes.
	ComposeFile json.RawMessage `json:"compose_file"`
}

// PaginatedCVMs is the answer of GET /cvms/paginated in version 2026-01-21.
type PaginatedCVMs = Page[CVM]

// CVMResource is the size of a CVM (schema CvmResourceInfoV20260121).
type CVMResource struct {
	InstanceType        *string        `json:"instance_type"`
	VCPU                *int           `json:"vcpu"`
	MemoryInGB          *float64       `json:"memory_in_gb"`
	DiskInGB            *int           `json:"disk_in_gb"`
	GPUs                *int           `json:"gpus"`
	ComputeBillingPrice *Amount        `json:"compute_billing_price"`
	BillingPeriod       *BillingPeriod `json:"billing_period"`
}

// CVMOS is the operating system image of a CVM (schema CvmOsInfoV20260121).
type CVMOS struct {
	Name        *string `json:"name"`
	Version     *string `json:"version"`
	IsDev       *bool   `json:"is_dev"`
	OSImageHash *string `json:"os_image_hash"`
}

// CVMKMSInfo is where the keys of a CVM come from (schema CvmKmsInfoV20260121). It is another
// object than [KMSInfo].
type CVMKMSInfo struct {
	ChainID            *int64  `json:"chain_id"`
	DstackKMSAddress   *string `json:"dstack_kms_address"`
	DstackAppAddress   *string `json:"dstack_app_address"`
	DeployerAddress    *string `json:"deployer_address"`
	RPCEndpoint        *string `json:"rpc_endpoint"`
	EncryptedEnvPubkey *string `json:"encrypted_env_pubkey"`
}

// CVMProgress is the operation that runs on a CVM (schema CvmProgressInfoV20260121). A target that
// is not null is what the clients take for "in progress".
type CVMProgress struct {
	Target        *string `json:"target"`
	StartedAt     *string `json:"started_at"`
	CorrelationID *string `json:"correlation_id"`
}

// CVMGateway is the gateway a CVM is reached through (schema CvmGatewayInfoV20260121).
type CVMGateway struct {
	BaseDomain *string `json:"base_domain"`
	CNAME      *string `json:"cname"`
}

// CVMLogURLs says where logs of a CVM are (documented member logs of the CVM object).
type CVMLogURLs struct {
	Serial           *string `json:"serial"`
	Stdout           *string `json:"stdout"`
	Stderr           *string `json:"stderr"`
	ContainerLogBase *string `json:"container_log_base"`
}

// NetworkURLs are the two addresses of one port: any instance of the app, and this instance
// (schema CvmNetworkUrlsV20251028, used by both versions).
type NetworkURLs struct {
	App      string `json:"app"`
	Instance string `json:"instance"`
}
