package api

// App is the answer of GET /apps/{app_id}: an app with its CVMs, in the shape T of a version
// (schemas DstackAppFullResponseV20260121 with [CVM], and V20251028 with [AppCVM20251028]).
type App[T any] struct {
	ID               string  `json:"id"` // prj_…
	Name             string  `json:"name"`
	AppID            string  `json:"app_id"`
	AppProvisionType *string `json:"app_provision_type"`
	AppIconURL       *string `json:"app_icon_url"`
	CreatedAt        string  `json:"created_at"`
	KMSType          string  `json:"kms_type"`
	// CurrentCVM is the oldest CVM, or null.
	CurrentCVM *T      `json:"current_cvm"`
	CVMs       List[T] `json:"cvms"`
	CVMCount   int     `json:"cvm_count"`
}

// AppCVM20251028 is one CVM of an app in version 2025-10-28 (schema CvmBasicInfoV20251028).
type AppCVM20251028 struct {
	VMUUID           *string              `json:"vm_uuid"`
	AppID            string               `json:"app_id"`
	Name             string               `json:"name"`
	Status           CVMStatus            `json:"status"`
	VCPU             int                  `json:"vcpu"`
	MemoryMB         int                  `json:"memory"`
	DiskGB           int                  `json:"disk_size"`
	TeepodID         int64                `json:"teepod_id"`
	TeepodName       string               `json:"teepod_name"`
	RegionIdentifier *string              `json:"region_identifier"`
	KMSType          *string              `json:"kms_type"`
	InstanceType     *string              `json:"instance_type"`
	Listed           *bool                `json:"listed"`
	BaseImage        *string              `json:"base_image"`
	KMSSlug          *string              `json:"kms_slug"`
	KMSID            *string              `json:"kms_id"`
	InstanceID       *string              `json:"instance_id"`
	MachineInfo      *MachineInfo20251028 `json:"machine_info"`
	UpdatedAt        *string              `json:"updated_at"`
}
