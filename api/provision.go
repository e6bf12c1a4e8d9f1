package api

// ProvisionRequest is the body of POST /cvms/provision, the first of two calls that create a CVM:
// it fixes the app-compose document and chooses a node, but starts nothing.
type ProvisionRequest struct {
	// Name is 5 to 63 characters; see [ValidateCVMName].
	Name         string      `json:"name"`
	ComposeFile  ComposeFile `json:"compose_file"`
	InstanceType *string     `json:"instance_type,omitempty"`
	VCPU         *int        `json:"vcpu,omitempty"`
	MemoryMB     *int        `json:"memory,omitempty"`
	DiskGB       *int        `json:"disk_size,omitempty"`
	// TeepodID chooses the node. The clients call it node_id and rename it on the wire.
	TeepodID *int64  `json:"teepod_id,omitempty"`
	NodeID   *int64  `json:"node_id,omitempty"`
	Region   *string `json:"region,omitempty"`
	Image    *string `json:"image,omitempty"`
	// PreferDev asks for a development OS image.
	PreferDev *bool `json:"prefer_dev,omitempty"`
	Listed    *bool `json:"listed,omitempty"`
	// KMS is a [KMSType] in any case.
	KMS         *string  `json:"kms,omitempty"`
	KMSID       *string  `json:"kms_id,omitempty"`
	KMSContract *string  `json:"kms_contract,omitempty"`
	EnvKeys     []string `json:"env_keys,omitempty"`
	// Nonce and AppID come from GET /kms/phala/next_app_id.
	Nonce        *int64  `json:"nonce,omitempty"`
	AppID        *string `json:"app_id,omitempty"`
	EncryptedEnv *string `json:"encrypted_env,omitempty"`
	UserConfig   *string `json:"user_config,omitempty"`
}

// ComposeFile are the members of an app-compose document that a client may choose when it creates a
// CVM (compose_file of POST /cvms/provision). What is absent gets the server's default. It is not
// the document itself: that one is built once by the server and kept as bytes.
type ComposeFile struct {
	DockerComposeFile string   `json:"docker_compose_file,omitempty"`
	Name              *string  `json:"name,omitempty"`
	ManifestVersion   *int     `json:"manifest_version,omitempty"`
	Runner            *string  `json:"runner,omitempty"`
	BashScript        *string  `json:"bash_script,omitempty"`
	PreLaunchScript   *string  `json:"pre_launch_script,omitempty"`
	AllowedEnvs       []string `json:"allowed_envs,omitempty"`
	Features          []string `json:"features,omitempty"`
	KMSEnabled        *bool    `json:"kms_enabled,omitempty"`
	GatewayEnabled    *bool    `json:"gateway_enabled,omitempty"`
	// TproxyEnabled is the old name of GatewayEnabled.
	TproxyEnabled           *bool   `json:"tproxy_enabled,omitempty"`
	LocalKeyProviderEnabled *bool   `json:"local_key_provider_enabled,omitempty"`
	NoInstanceID            *bool   `json:"no_instance_id,omitempty"`
	SecureTime              *bool   `json:"secure_time,omitempty"`
	PublicLogs              *bool   `json:"public_logs,omitempty"`
	PublicSysinfo           *bool   `json:"public_sysinfo,omitempty"`
	PublicTcbinfo           *bool   `json:"public_tcbinfo,omitempty"`
	StorageFS               *string `json:"storage_fs,omitempty"`
}

// ProvisionResponse is the answer of POST /cvms/provision (schema ProvisionCvm). For an on-chain KMS
// app_id is null: the owner's deployment of the app contract decides it.
type ProvisionResponse struct {
	AppID *string `json:"app_id"`
	// EnvPubkey is the X25519 key that environment variables are encrypted to, in hex.
	EnvPubkey    *string  `json:"app_env_encrypt_pubkey"`
	ComposeHash  string   `json:"compose_hash"`
	KMSInfo      *KMSInfo `json:"kms_info"`
	FMSPC        *string  `json:"fmspc"`
	DeviceID     *string  `json:"device_id"`
	OSImageHash  *string  `json:"os_image_hash"`
	InstanceType *string  `json:"instance_type"`
	TeepodID     *int64   `json:"teepod_id"`
	NodeID       *int64   `json:"node_id"`
	KMSID        *string  `json:"kms_id"`
}

// CommitRequest is the body of POST /cvms, the second call that creates a CVM. It may be repeated
// with the same app id and compose hash.
type CommitRequest struct {
	// AppID is 40 hex digits; clients also send it with 0x and in mixed case.
	AppID           string   `json:"app_id"`
	ComposeHash     string   `json:"compose_hash"`
	EncryptedEnv    *string  `json:"encrypted_env,omitempty"`
	KMSID           *string  `json:"kms_id,omitempty"`
	ContractAddress *string  `json:"contract_address,omitempty"`
	DeployerAddress *string  `json:"deployer_address,omitempty"`
	EnvKeys         []string `json:"env_keys,omitempty"`
}

// CommitResponse is the answer of POST /cvms (schema CommitCvmProvision). Here id is a number.
type CommitResponse struct {
	ID                     int64            `json:"id"`
	Name                   string           `json:"name"`
	Status                 CVMStatus        `json:"status"`
	TeepodID               int64            `json:"teepod_id"`
	Teepod                 *CVMNode20251028 `json:"teepod"`
	UserID                 *int64           `json:"user_id"`
	AppID                  *string          `json:"app_id"`
	VMUUID                 *string          `json:"vm_uuid"`
	InstanceID             *string          `json:"instance_id"`
	AppURL                 *string          `json:"app_url"`
	BaseImage              *string          `json:"base_image"`
	VCPU                   int              `json:"vcpu"`
	MemoryMB               int              `json:"memory"`
	DiskGB                 int              `json:"disk_size"`
	ManifestVersion        *int             `json:"manifest_version"`
	Version                *string          `json:"version"`
	Runner                 *string          `json:"runner"`
	DockerCompose          *string          `json:"docker_compose_file"`
	Features               []string         `json:"features"`
	CreatedAt              string           `json:"created_at"`
	EnvPubkey              *string          `json:"encrypted_env_pubkey"`
	AppAuthContractAddress *string          `json:"app_auth_contract_address"`
	DeployerAddress        *string          `json:"deployer_address"`
}
