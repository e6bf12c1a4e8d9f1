package vmmrpc

// GuestInfo is what a guest says of itself. The VMM passes it on; nothing in it is attested.
type GuestInfo struct {
	Version    string `json:"version"`
	AppID      Bytes  `json:"app_id"`
	InstanceID Bytes  `json:"instance_id"`
	AppCert    string `json:"app_cert"` // PEM
	TCBInfo    string `json:"tcb_info"` // a TCBInfo in JSON; empty when the document has public_tcbinfo false
	DeviceID   Bytes  `json:"device_id"`
}

// TCBInfo is the JSON text in GuestInfo. Digests are lower-case hex.
type TCBInfo struct {
	MRTD         string       `json:"mrtd"`
	RTMR0        string       `json:"rtmr0"`
	RTMR1        string       `json:"rtmr1"`
	RTMR2        string       `json:"rtmr2"`
	RTMR3        string       `json:"rtmr3"`
	MRAggregated string       `json:"mr_aggregated"`
	OSImageHash  string       `json:"os_image_hash"`
	ComposeHash  string       `json:"compose_hash"` // of the compose-hash event: what was measured
	DeviceID     string       `json:"device_id"`
	EventLog     []EventEntry `json:"event_log"`
	AppCompose   string       `json:"app_compose"` // the document, byte for byte
}

// EventEntry is one measurement of the event log.
type EventEntry struct {
	IMR       uint32 `json:"imr"`
	EventType uint32 `json:"event_type"`
	Digest    string `json:"digest"` // SHA-384
	Event     string `json:"event"`
	Payload   string `json:"event_payload"`
}

// ListContainersResponse lists the containers in a guest, those that have ended too.
type ListContainersResponse struct {
	Containers []Container `json:"containers"`
}

// Container is a container as the guest's Docker Engine lists it.
type Container struct {
	ID      string   `json:"id"`
	Names   []string `json:"names"` // each begins with a slash
	Image   string   `json:"image"`
	ImageID string   `json:"image_id"`
	Created int64    `json:"created"` // Unix time in seconds
	State   string   `json:"state"`
	Status  string   `json:"status"`
}

// SystemInfo is how a guest is doing. Sizes are bytes, times seconds, and load averages are in hundredths.
type SystemInfo struct {
	OSName          string     `json:"os_name"`
	OSVersion       string     `json:"os_version"`
	KernelVersion   string     `json:"kernel_version"`
	CPUModel        string     `json:"cpu_model"`
	NumCPUs         uint32     `json:"num_cpus"`
	TotalMemory     uint64     `json:"total_memory"`
	AvailableMemory uint64     `json:"available_memory"`
	UsedMemory      uint64     `json:"used_memory"`
	FreeMemory      uint64     `json:"free_memory"`
	TotalSwap       uint64     `json:"total_swap"`
	UsedSwap        uint64     `json:"used_swap"`
	FreeSwap        uint64     `json:"free_swap"`
	Uptime          uint64     `json:"uptime"`
	LoadavgOne      uint32     `json:"loadavg_one"`
	LoadavgFive     uint32     `json:"loadavg_five"`
	LoadavgFifteen  uint32     `json:"loadavg_fifteen"`
	Disks           []DiskInfo `json:"disks"`
}

// DiskInfo is a disk of a guest; sizes are bytes.
type DiskInfo struct {
	Name       string `json:"name"`
	MountPoint string `json:"mount_point"`
	TotalSize  uint64 `json:"total_size"`
	FreeSize   uint64 `json:"free_size"`
}

// NetworkInformation is the network of a guest.
type NetworkInformation struct {
	DNSServers []string    `json:"dns_servers"`
	Gateways   []Gateway   `json:"gateways"`
	Interfaces []Interface `json:"interfaces"`
	WGInfo     string      `json:"wg_info"`
}

// Gateway is a default route of a guest.
type Gateway struct {
	Address string `json:"address"`
}

// Interface is a network interface of a guest.
type Interface struct {
	Name      string      `json:"name"`
	Addresses []IPAddress `json:"addresses"`
	RxBytes   uint64      `json:"rx_bytes"`
	TxBytes   uint64      `json:"tx_bytes"`
	RxErrors  uint64      `json:"rx_errors"`
	TxErrors  uint64      `json:"tx_errors"`
}

// IPAddress is an address with the length of its prefix.
type IPAddress struct {
	Address string `json:"address"`
	Prefix  uint32 `json:"prefix"`
}
