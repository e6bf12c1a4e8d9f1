package api

import "encoding/json"

// CVMDetail20251028 is the answer of GET /cvms/{id} in version 2025-10-28 (schema
// CvmDetailV20251028), and of PATCH /cvms/{id}/visibility in every version. `phala deploy` asks
// for this version.
type CVMDetail20251028 struct {
	ID         int64            `json:"id"`
	Name       string           `json:"name"`
	Status     CVMStatus        `json:"status"`
	InProgress bool             `json:"in_progress"`
	TeepodID   *int64           `json:"teepod_id"`
	Teepod     *CVMNode20251028 `json:"teepod"`
	AppID      string           `json:"app_id"`
	VMUUID     *string          `json:"vm_uuid"`
	InstanceID *string          `json:"instance_id"`
	VCPU       int              `json:"vcpu"`
	MemoryMB   int              `json:"memory"`
	DiskGB     int              `json:"disk_size"`
	BaseImage  *string          `json:"base_image"`
	EnvPubkey  *string          `json:"encrypted_env_pubkey"`
	Listed     bool             `json:"listed"`
	ProjectID  *string          `json:"project_id"`
	// ProjectType, InstanceType and what follows may be null, unless said otherwise.
	ProjectType  *string `json:"project_type"`
	InstanceType *string `json:"instance_type"`
	// PublicSysinfo and PublicLogs must not be null.
	PublicSysinfo    bool    `json:"public_sysinfo"`
	PublicLogs       bool    `json:"public_logs"`
	DappDashboardURL *string `json:"dapp_dashboard_url"`
	SyslogEndpoint   *string `json:"syslog_endpoint"`
	// KMSInfo is the whole KMS, unlike the member of the same name in version 2026-01-21.
	KMSInfo           *KMSInfo             `json:"kms_info"`
	ContractAddress   *string              `json:"contract_address"`
	DeployerAddress   *string              `json:"deployer_address"`
	ScheduledDeleteAt *string              `json:"scheduled_delete_at"`
	PublicURLs        List[NetworkURLs]    `json:"public_urls"`
	GatewayDomain     *string              `json:"gateway_domain"`
	MachineInfo       *MachineInfo20251028 `json:"machine_info"`
	UpdatedAt         *string              `json:"updated_at"`
}

// CVMInfo20251028 is one item of GET /cvms/paginated in version 2025-10-28 (schema
// CvmInfoV20251028). Every key but machine_info and updated_at must be there.
type CVMInfo20251028 struct {
	Hosted           HostedVM20251028     `json:"hosted"`
	Name             string               `json:"name"`
	ManagedUser      *ManagedUser20251028 `json:"managed_user"`
	Node             *CVMNode20251028     `json:"node"`
	Listed           bool                 `json:"listed"`
	Status           CVMStatus            `json:"status"`
	InProgress       bool                 `json:"in_progress"`
	DappDashboardURL *string              `json:"dapp_dashboard_url"`
	SyslogEndpoint   *string              `json:"syslog_endpoint"`
	AllowUpgrade     bool                 `json:"allow_upgrade"`
	ProjectID        *string              `json:"project_id"`
	ProjectType      *string              `json:"project_type"`
	BillingPeriod    *string              `json:"billing_period"`
	KMSInfo          *KMSInfo             `json:"kms_info"`
	ContractAddress  *string              `json:"contract_address"`
	DeployerAddress  *string              `json:"deployer_address"`
	VCPU             *int                 `json:"vcpu"`
	MemoryMB         *int                 `json:"memory"`
	DiskGB           *int                 `json:"disk_size"`
	GatewayDomain    *string              `json:"gateway_domain"`
	PublicURLs       List[NetworkURLs]    `json:"public_urls"`
	MachineInfo      *MachineInfo20251028 `json:"machine_info"`
	UpdatedAt        *string              `json:"updated_at"`
}

// PaginatedCVMs20251028 is the answer of GET /cvms/paginated in version 2025-10-28.
type PaginatedCVMs20251028 = Page[CVMInfo20251028]

// HostedVM20251028 is the VM as its host sees it (schema VmInfoV20251028). Here id is a string.
type HostedVM20251028 struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Status     CVMStatus `json:"status"`
	Uptime     string    `json:"uptime"`
	AppURL     *string   `json:"app_url"`
	AppID      string    `json:"app_id"`
	InstanceID *string   `json:"instance_id"`
	// Configuration is not checked by the clients.
	Configuration    json.RawMessage `json:"configuration,omitempty"`
	ExitedAt         *string         `json:"exited_at"`
	BootProgress     *string         `json:"boot_progress"`
	BootError        *string         `json:"boot_error"`
	ShutdownProgress *string         `json:"shutdown_progress"`
	ImageVersion     *string         `json:"image_version"`
}

// CVMNode20251028 names the node of a CVM (schema CvmNodeV20251028).
type CVMNode20251028 struct {
	ID               int64   `json:"id"`
	Name             string  `json:"name"`
	RegionIdentifier *string `json:"region_identifier"`
}

// ManagedUser20251028 is the owner of a CVM (schema ManagedUserV20251028).
type ManagedUser20251028 struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

// MachineInfo20251028 is the size of a CVM (schema MachineInfoV20251028): memory in MB, disk in GB.
type MachineInfo20251028 struct {
	VCPU     int `json:"vcpu"`
	MemoryMB int `json:"memory"`
	DiskGB   int `json:"disk_size"`
	GPUCount int `json:"gpu_count"`
}
