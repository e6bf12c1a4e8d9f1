package api

// Composition is the answer of GET /cvms/{id}/composition (schema CvmContainersStats): the containers of a
// CVM. Every key must be there.
type Composition struct {
	IsOnline bool `json:"is_online"`
	// IsPublic tells whether the document opens the logs of its containers (public_logs).
	IsPublic bool    `json:"is_public"`
	Error    *string `json:"error"`

	DockerComposeFile *string  `json:"docker_compose_file"`
	ManifestVersion   *int     `json:"manifest_version"`
	Version           *string  `json:"version"`
	Runner            *string  `json:"runner"`
	Features          []string `json:"features"` // may be null
	// Containers is null while the CVM is not online.
	Containers []Container `json:"containers"`
}

// Container is a container of a CVM, in Docker's words.
type Container struct {
	ID      string   `json:"id"`
	Names   []string `json:"names"` // each begins with a slash
	Image   string   `json:"image"`
	ImageID string   `json:"image_id"`
	Command *string  `json:"command"`
	Created int64    `json:"created"` // Unix time in seconds
	State   string   `json:"state"`
	Status  string   `json:"status"`
	// LogEndpoint is where the log is fetched without an API key, for a limited time. Null when the document
	// keeps it private.
	LogEndpoint *string `json:"log_endpoint"`
}

// SystemStats is the answer of GET /cvms/{id}/stats (schema CvmSystemInfo).
type SystemStats struct {
	IsOnline bool    `json:"is_online"`
	IsPublic bool    `json:"is_public"` // public_sysinfo of the document
	Error    *string `json:"error"`
	// Sysinfo is null when it is not public, or nobody can tell it; Error says why.
	Sysinfo      *SystemInfo `json:"sysinfo"`
	Status       *string     `json:"status"`
	InProgress   bool        `json:"in_progress"`
	BootProgress *string     `json:"boot_progress"`
	BootError    *string     `json:"boot_error"`
}

// SystemInfo is what a guest says of its machine. Sizes are bytes, the uptime is seconds, and load averages
// are in hundredths.
type SystemInfo struct {
	OSName          string     `json:"os_name"`
	OSVersion       string     `json:"os_version"`
	KernelVersion   string     `json:"kernel_version"`
	CPUModel        string     `json:"cpu_model"`
	NumCPUs         int64      `json:"num_cpus"`
	TotalMemory     uint64     `json:"total_memory"`
	AvailableMemory uint64     `json:"available_memory"`
	UsedMemory      uint64     `json:"used_memory"`
	FreeMemory      uint64     `json:"free_memory"`
	TotalSwap       uint64     `json:"total_swap"`
	UsedSwap        uint64     `json:"used_swap"`
	FreeSwap        uint64     `json:"free_swap"`
	Uptime          int64      `json:"uptime"`
	LoadavgOne      int64      `json:"loadavg_one"`
	LoadavgFive     int64      `json:"loadavg_five"`
	LoadavgFifteen  int64      `json:"loadavg_fifteen"`
	Disks           List[Disk] `json:"disks"`
}

// Disk is a file system of a guest. Sizes are bytes.
type Disk struct {
	Name       string `json:"name"`
	MountPoint string `json:"mount_point"`
	TotalSize  uint64 `json:"total_size"`
	FreeSize   uint64 `json:"free_size"`
}

// Network is the answer of GET /cvms/{id}/network (schema CvmNetwork).
type Network struct {
	IsOnline   bool    `json:"is_online"`
	IsPublic   bool    `json:"is_public"`
	Error      *string `json:"error"`
	InternalIP *string `json:"internal_ip"`
	// LatestHandshake is ISO 8601. Only the gateway knows it; a Lockstep server leaves it null.
	LatestHandshake *string       `json:"latest_handshake"`
	PublicURLs      []NetworkURLs `json:"public_urls"` // may be null
}

// UserConfig is the answer of GET /cvms/{id}/user_config (schema CvmUserConfig).
type UserConfig struct {
	Hostname             *string      `json:"hostname"`
	SSHAuthorizedKeys    List[string] `json:"ssh_authorized_keys"`
	DefaultGatewayDomain *string      `json:"default_gateway_domain"`
}

// StatusBatchRequest is the body of POST /status/batch.
type StatusBatchRequest struct {
	VMUUIDs List[string] `json:"vm_uuids"`
}

// StatusBatch is the answer of POST /status/batch: by each name that was sent and found.
type StatusBatch map[string]VMStatus

// VMStatus is what a CVM does at the moment (schema CvmStatus).
type VMStatus struct {
	VMUUID             string    `json:"vm_uuid"`
	Status             CVMStatus `json:"status"`
	Uptime             *string   `json:"uptime"`
	InProgress         bool      `json:"in_progress"`
	BootProgress       *string   `json:"boot_progress"`
	BootError          *string   `json:"boot_error"`
	ShutdownProgress   *string   `json:"shutdown_progress"`
	OperationType      *string   `json:"operation_type"`
	OperationStartedAt *string   `json:"operation_started_at"` // ISO 8601
	CorrelationID      *string   `json:"correlation_id"`
}

// AppList is the answer of GET /apps, in the shape T of a version (schemas DstackAppListResponseV20260121
// with [CVM], and V20251028 with [AppCVM20251028]).
type AppList[T any] struct {
	Apps       List[App[T]] `json:"dstack_apps"`
	Page       int          `json:"page"`
	PageSize   int          `json:"page_size"`
	Total      int          `json:"total"`
	TotalPages int          `json:"total_pages"`
}

// MediaTypeNDJSON is that of a log as one [LogLine] a line.
const MediaTypeNDJSON = "application/x-ndjson"

// LogLine is one line of a log in its structured form.
type LogLine struct {
	Channel string `json:"channel"` // stdout or stderr
	Message string `json:"message"` // the line with its end, in base64 unless text was asked for
}

// Channels of the console of a CVM.
const (
	LogChannelSerial = "serial" // what the guest's kernel and boot write
	LogChannelStdout = "stdout" // of the process that runs the CVM
	LogChannelStderr = "stderr"
)
