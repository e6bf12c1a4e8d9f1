package guest

import (
	"crypto/sha256"
	"slices"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// BootInfo is what a KMS is told of a CVM that no TEE measures. The measurements besides the compose hash are
// made up: they depend on what the real ones depend on, and on nothing else.
func BootInfo(appID [20]byte, composeHash [32]byte, instanceID []byte, deviceID, osImageHash [32]byte) kms.BootInfo {
	system := sha256.Sum256(append([]byte("lockstep simulated mr_system"), osImageHash[:]...))
	aggregated := sha256.Sum256(slices.Concat([]byte("lockstep simulated mr_aggregated"), system[:],
		appID[:], composeHash[:], instanceID))
	return kms.BootInfo{
		AppID:        appID,
		ComposeHash:  composeHash,
		InstanceID:   instanceID,
		DeviceID:     deviceID,
		MRAggregated: aggregated,
		MRSystem:     system,
		OSImageHash:  osImageHash,
		TCBStatus:    "UpToDate",
	}
}
