package api

// VM is the answer of the lifecycle operations: POST /cvms/{id}/start, stop, shutdown, restart and
// replicas (schema VM). Here id is a number.
type VM struct {
	ID              int64            `json:"id"`
	Name            string           `json:"name"`
	Status          CVMStatus        `json:"status"`
	TeepodID        int64            `json:"teepod_id"`
	Teepod          *CVMNode20251028 `json:"teepod"`
	UserID          *int64           `json:"user_id"`
	AppID           string           `json:"app_id"`
	VMUUID          *string          `json:"vm_uuid"`
	InstanceID      *string          `json:"instance_id"`
	AppURL          *string          `json:"app_url"`
	BaseImage       *string          `json:"base_image"`
	VCPU            int              `json:"vcpu"`
	MemoryMB        int              `json:"memory"`
	DiskGB          int              `json:"disk_size"`
	ManifestVersion *int             `json:"manifest_version"`
	Version         *string          `json:"version"`
	Runner          *string          `json:"runner"`
	DockerCompose   *string          `json:"docker_compose_file"`
	Features        []string         `json:"features"`
	CreatedAt       string           `json:"created_at"`
	EnvPubkey       *string          `json:"encrypted_env_pubkey"`
}
