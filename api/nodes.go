package api

// AvailableNodes is the answer of GET /teepods/available (schema AvailableNodes).
type AvailableNodes struct {
	Tier     string              `json:"tier"`
	Capacity Capacity            `json:"capacity"`
	Nodes    List[AvailableNode] `json:"nodes"`
	KMSList  List[KMSInfo]       `json:"kms_list"`
}

// Capacity is what the workspace may still use; nil is no limit. Memory in MB, disk in GB.
type Capacity struct {
	MaxInstances *float64 `json:"max_instances"`
	MaxVCPU      *float64 `json:"max_vcpu"`
	MaxMemory    *float64 `json:"max_memory"`
	MaxDisk      *float64 `json:"max_disk"`
}

// AvailableNode is a node with room for another CVM. Memory is in MB.
type AvailableNode struct {
	TeepodID          int64             `json:"teepod_id"`
	Name              string            `json:"name"`
	Listed            bool              `json:"listed"`
	ResourceScore     float64           `json:"resource_score"`
	RemainingVCPU     float64           `json:"remaining_vcpu"`
	RemainingMemory   float64           `json:"remaining_memory"`
	RemainingCVMSlots float64           `json:"remaining_cvm_slots"`
	Images            List[NodeOSImage] `json:"images"`
	SupportOnchainKMS bool              `json:"support_onchain_kms"`
	FMSPC             *string           `json:"fmspc"`
	DeviceID          *string           `json:"device_id"`
	RegionIdentifier  *string           `json:"region_identifier"`
	DefaultKMS        *string           `json:"default_kms"`
	KMSList           List[string]      `json:"kms_list"`
}

// NodeOSImage is an OS image that a node can boot.
type NodeOSImage struct {
	Name  string `json:"name"`
	Slug  string `json:"slug,omitempty"`
	IsDev bool   `json:"is_dev"`
	// Version has exactly 3 or 4 numbers; the clients reject any other length.
	Version     List[int] `json:"version"`
	OSImageHash *string   `json:"os_image_hash"`
	RequiresGPU bool      `json:"requires_gpu"`
}
