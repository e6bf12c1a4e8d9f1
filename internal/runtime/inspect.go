package runtime

import (
	"context"
	"time"
)

// Inspector is what a driver implements besides Runtime when it can tell how the guest inside a CVM is
// doing. Nobody makes such numbers up: a nil answer without an error means that the driver can never tell
// this of its CVMs, and a driver that is no Inspector can tell neither.
//
// The errors of both calls are ErrNotFound, ErrUnreachable, or ErrConflict when there is no guest that
// answers now: the CVM is down, or has not booted far enough.
type Inspector interface {
	// SystemInfo tells what the guest sees of its machine.
	SystemInfo(ctx context.Context, id string) (*SystemInfo, error)
	// NetworkInfo tells how the guest is connected.
	NetworkInfo(ctx context.Context, id string) (*NetworkInfo, error)
}

// SystemInfo is how a guest is doing, as the guest itself says. What it does not say stays zero.
type SystemInfo struct {
	OSName        string
	OSVersion     string
	KernelVersion string
	CPUModel      string
	CPUs          int64

	// Sizes are bytes.
	TotalMemory, AvailableMemory, UsedMemory, FreeMemory uint64
	TotalSwap, UsedSwap, FreeSwap                        uint64

	Uptime time.Duration
	// Load averages over one, five and fifteen minutes, in hundredths, as dstack's guest agent has them.
	LoadOne, LoadFive, LoadFifteen int64

	Disks []Disk
}

// Disk is a file system of a guest. Sizes are bytes.
type Disk struct {
	Name       string
	MountPoint string
	Total      uint64
	Free       uint64
}

// NetworkInfo is how a guest is connected.
type NetworkInfo struct {
	InternalIP string // its address in the gateway's network; empty when it has none
}
