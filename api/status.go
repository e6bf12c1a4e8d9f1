package api

// CVMStatus is the state of a CVM in lower case. The set is open: the wire type is a free string.
type CVMStatus string

// The states that occur.
const (
	StatusProvisioning CVMStatus = "provisioning"
	StatusPending      CVMStatus = "pending"
	StatusStarting     CVMStatus = "starting"
	StatusRunning      CVMStatus = "running"
	StatusUpdating     CVMStatus = "updating"
	StatusRestarting   CVMStatus = "restarting"
	StatusStopping     CVMStatus = "stopping"
	StatusShuttingDown CVMStatus = "shutting_down"
	StatusStopped      CVMStatus = "stopped"
	StatusExited       CVMStatus = "exited"
	StatusError        CVMStatus = "error"
)

// BillingPeriod says how a CVM is paid for; the clients reject any other value.
type BillingPeriod string

// The billing periods.
const (
	BillingSkip    BillingPeriod = "skip"
	BillingHourly  BillingPeriod = "hourly"
	BillingMonthly BillingPeriod = "monthly"
)

// Storage file systems of a CVM, in compose_file.storage_fs.
const (
	StorageExt4 = "ext4"
	StorageZFS  = "zfs"
)
