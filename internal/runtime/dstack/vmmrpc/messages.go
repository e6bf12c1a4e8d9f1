// Package vmmrpc holds the messages of dstack-vmm's RPC as they are in JSON: the names are those of
// vmm_rpc.proto and guest_api.proto, bytes are hex, 64-bit numbers are numbers, and an optional field that
// is not set is null. A client and a server of the RPC share it, so that it is written down once.
package vmmrpc

import "github.com/lockstep-cvm/lockstep/internal/prpc"

// Bytes is hex in JSON.
type Bytes = prpc.Bytes

// Error is the body of every answer with status 400.
type Error = prpc.Error

// Methods of the VMM, called with POST /prpc/<Method>.
const (
	CreateVM               = "CreateVm"
	StartVM                = "StartVm"
	StopVM                 = "StopVm"     // cuts the machine off
	ShutdownVM             = "ShutdownVm" // asks the guest to power off
	RemoveVM               = "RemoveVm"
	UpdateVM               = "UpdateVm"
	UpgradeApp             = "UpgradeApp" // former name of UpdateVm
	ResizeVM               = "ResizeVm"
	GetComposeHash         = "GetComposeHash"
	Status                 = "Status"
	ListImages             = "ListImages"
	GetAppEnvEncryptPubKey = "GetAppEnvEncryptPubKey"
	GetInfo                = "GetInfo"
	Version                = "Version"
	GetMeta                = "GetMeta"
	ListGPUs               = "ListGpus"
	ReloadVMs              = "ReloadVms"
)

// Methods of the guest that the VMM passes on, called with POST /guest/<Method> and an ID.
const (
	GuestInfoMethod           = "Info"
	GuestSysInfo              = "SysInfo"
	GuestNetworkInfo          = "NetworkInfo"
	GuestListContainers       = "ListContainers"
	GuestShutdown             = "Shutdown"
	GuestAPIPath              = "/guest/"
	RPCPath                   = "/prpc/"
	MaxBody             int64 = 10 << 20 // bytes of a request, unless the VMM is configured otherwise
)

// States of a VM, in VMInfo.Status. Whether it is meant to run and whether its QEMU process runs are two
// facts; the states are their combinations.
const (
	StatusRunning  = "running"  // meant to run, and the process runs; says nothing of the guest
	StatusExited   = "exited"   // meant to run, and the process is gone
	StatusStopping = "stopping" // not meant to run, and the process still runs
	StatusStopped  = "stopped"
	StatusRemoving = "removing"
)

// Names of events that guests report and the VMM keeps, the last 20 of a VM.
const (
	EventBootProgress     = "boot.progress"
	EventBootError        = "boot.error"
	EventShutdownProgress = "shutdown.progress"
	EventInstanceInfo     = "instance.info"
)

// Boot progress that the VMM itself sets.
const (
	ProgressBooting = "booting" // a process was started
	ProgressRunning = "running" // StartVm found one running: how far its guest is, is not known any more
	ProgressNone    = "N/A"     // the image reports none
)

// SimulatedRev is what `lockstep vmm-sim` says in place of a commit, so that nobody takes it for a real host.
const SimulatedRev = "lockstep-vmm-sim"

// PoweringOff is the shutdown progress after which the VMM no longer means the VM to run.
const PoweringOff = "powering off"

// ID names a VM. Its id is a UUID that the VMM draws.
type ID struct {
	ID string `json:"id"`
}

// VMConfiguration is what a VM is made from.
type VMConfiguration struct {
	Name         string       `json:"name"`
	Image        string       `json:"image"`
	ComposeFile  string       `json:"compose_file"`
	VCPU         uint32       `json:"vcpu"`
	Memory       uint32       `json:"memory"`    // MB
	DiskSize     uint32       `json:"disk_size"` // GB
	Ports        []Port       `json:"ports"`
	EncryptedEnv Bytes        `json:"encrypted_env"`
	AppID        *string      `json:"app_id"` // 40 hex; without it the VMM takes the beginning of the compose hash
	UserConfig   string       `json:"user_config"`
	Hugepages    bool         `json:"hugepages"`
	PinNUMA      bool         `json:"pin_numa"`
	GPUs         *GPUConfig   `json:"gpus"`
	KMSURLs      []string     `json:"kms_urls"`     // empty: those of the VMM
	GatewayURLs  []string     `json:"gateway_urls"` // empty: those of the VMM
	Stopped      bool         `json:"stopped"`      // do not start it
	NoTEE        bool         `json:"no_tee"`
	Networks     []Networking `json:"networks"`
}

// Port is a port of the host that leads to one of the VM.
type Port struct {
	Protocol    string `json:"protocol"` // tcp, udp
	HostPort    uint32 `json:"host_port"`
	VMPort      uint32 `json:"vm_port"`
	HostAddress string `json:"host_address"`
}

// GPUConfig says which GPUs a VM gets: those listed by slot, or all.
type GPUConfig struct {
	GPUs       []GPUSpec `json:"gpus"`
	AttachMode string    `json:"attach_mode"` // listed, all
}

// GPUSpec is a GPU by its PCI slot.
type GPUSpec struct {
	Slot string `json:"slot"`
}

// Networking is a network interface of a VM.
type Networking struct {
	Mode       string `json:"mode"` // user, bridge
	BridgeName string `json:"bridge_name"`
}

// UpdateVMRequest changes files and settings of a VM, step by step and without a transaction. What is empty
// is kept, so an environment can be replaced and not cleared.
type UpdateVMRequest struct {
	ID                string       `json:"id"`
	ComposeFile       string       `json:"compose_file"`
	EncryptedEnv      Bytes        `json:"encrypted_env"`
	UserConfig        string       `json:"user_config"`
	UpdatePorts       bool         `json:"update_ports"`
	Ports             []Port       `json:"ports"`
	UpdateKMSURLs     bool         `json:"update_kms_urls"`
	KMSURLs           []string     `json:"kms_urls"`
	UpdateGatewayURLs bool         `json:"update_gateway_urls"`
	GatewayURLs       []string     `json:"gateway_urls"`
	GPUs              *GPUConfig   `json:"gpus"`
	VCPU              *uint32      `json:"vcpu"`
	Memory            *uint32      `json:"memory"`
	DiskSize          *uint32      `json:"disk_size"`
	Image             *string      `json:"image"`
	NoTEE             *bool        `json:"no_tee"`
	UpdateNetworking  bool         `json:"update_networking"`
	Networks          []Networking `json:"networks"`
}

// ResizeVMRequest is the former way to change resources.
type ResizeVMRequest struct {
	ID       string  `json:"id"`
	VCPU     *uint32 `json:"vcpu"`
	Memory   *uint32 `json:"memory"`
	DiskSize *uint32 `json:"disk_size"`
	Image    *string `json:"image"`
}

// StatusRequest asks for VMs. Without ids and keyword it asks for all.
type StatusRequest struct {
	IDs      []string `json:"ids"`
	Brief    bool     `json:"brief"`   // without configuration
	Keyword  string   `json:"keyword"` // part of the name, id, app id or image
	Page     uint32   `json:"page"`    // from 1; 0 for all
	PageSize uint32   `json:"page_size"`
}

// StatusResponse lists VMs in the order of their creation.
type StatusResponse struct {
	VMs                []VMInfo `json:"vms"`
	PortMappingEnabled bool     `json:"port_mapping_enabled"`
	Total              uint32   `json:"total"`
}

// VMInfo is what the VMM sees of a VM.
type VMInfo struct {
	ID               string           `json:"id"`
	Name             string           `json:"name"`
	Status           string           `json:"status"`
	Uptime           string           `json:"uptime"` // since its process was started, as "1h 2m 3s", or "never"
	AppURL           *string          `json:"app_url"`
	AppID            string           `json:"app_id"`
	InstanceID       *string          `json:"instance_id"`   // empty until the guest told it
	Configuration    *VMConfiguration `json:"configuration"` // what is on disk now: what boots next
	ExitedAt         *string          `json:"exited_at"`     // how long ago the process ended, or "never"
	BootProgress     string           `json:"boot_progress"`
	BootError        string           `json:"boot_error"` // kept until the next StartVm
	ShutdownProgress string           `json:"shutdown_progress"`
	ImageVersion     string           `json:"image_version"`
	Events           []GuestEvent     `json:"events"`
}

// GuestEvent is one thing that a guest reported. The ring of them is not cleared when a VM is started.
type GuestEvent struct {
	Event     string `json:"event"`
	Body      string `json:"body"`
	Timestamp uint64 `json:"timestamp"` // Unix time in milliseconds
}

// GetInfoResponse is the answer about one VM.
type GetInfoResponse struct {
	Found bool    `json:"found"`
	Info  *VMInfo `json:"info"`
}

// ComposeHash is the hash of a document, 64 hex.
type ComposeHash struct {
	Hash string `json:"hash"`
}

// ImageListResponse lists the OS images of a host.
type ImageListResponse struct {
	Images []ImageInfo `json:"images"`
}

// ImageInfo is an OS image.
type ImageInfo struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Version     string `json:"version"`
	IsDev       bool   `json:"is_dev"`
}

// AppID names an app.
type AppID struct {
	AppID Bytes `json:"app_id"` // 20 bytes
}

// PublicKeyResponse is the key to which environments of an app are encrypted, as the KMS gave it.
type PublicKeyResponse struct {
	PublicKey   Bytes  `json:"public_key"`   // X25519, 32 bytes
	Signature   Bytes  `json:"signature"`    // 65 bytes, without the time
	Timestamp   uint64 `json:"timestamp"`    // Unix time in seconds
	SignatureV1 Bytes  `json:"signature_v1"` // 65 bytes, over the time too
}

// VersionResponse is the version of the VMM.
type VersionResponse struct {
	Version string `json:"version"`
	Rev     string `json:"rev"`
}

// GetMetaResponse is how a VMM is set up.
type GetMetaResponse struct {
	KMS        *KMSSettings       `json:"kms"`
	Gateway    *GatewaySettings   `json:"gateway"`
	Resources  *ResourcesSettings `json:"resources"`
	Networking *NetworkingSupport `json:"networking"`
}

// KMSSettings are the KMS URLs that guests get.
type KMSSettings struct {
	URL  string   `json:"url"`
	URLs []string `json:"urls"`
}

// GatewaySettings say where the apps of a host are reached.
type GatewaySettings struct {
	URL        string   `json:"url"`
	BaseDomain string   `json:"base_domain"`
	Port       uint32   `json:"port"`
	AgentPort  uint32   `json:"agent_port"`
	URLs       []string `json:"urls"`
}

// ResourcesSettings are the limits of a host.
type ResourcesSettings struct {
	MaxCVMNumber           uint32 `json:"max_cvm_number"`
	MaxAllocableVCPU       uint32 `json:"max_allocable_vcpu"`
	MaxAllocableMemoryInMB uint32 `json:"max_allocable_memory_in_mb"`
}

// NetworkingSupport says which networks a host offers.
type NetworkingSupport struct {
	SupportedModes []string `json:"supported_modes"`
	DefaultMode    string   `json:"default_mode"`
	DefaultBridge  string   `json:"default_bridge"`
}

// ListGPUsResponse lists the GPUs of a host.
type ListGPUsResponse struct {
	GPUs           []GPUInfo `json:"gpus"`
	AllowAttachAll bool      `json:"allow_attach_all"`
}

// GPUInfo is a GPU of a host.
type GPUInfo struct {
	Slot        string `json:"slot"`
	ProductID   string `json:"product_id"`
	Description string `json:"description"`
	IsFree      bool   `json:"is_free"`
}

// ReloadVMsResponse counts what a reload from disk changed.
type ReloadVMsResponse struct {
	Loaded  uint32 `json:"loaded"`
	Updated uint32 `json:"updated"`
	Removed uint32 `json:"removed"`
}
