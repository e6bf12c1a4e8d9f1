package dstack

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// eventComposeHash names the measurement of the document.
const eventComposeHash = "compose-hash"

// measuredHash is the hash of what runs by what the guest says, and the document that runs. A guest that shows
// its tcb_info must say the same in all its places, else the hash is zero and the problem says why. One that is
// silent by its document runs the one on disk, see the package comment.
func measuredHash(info vmmrpc.GuestInfo, onDisk []byte) (hash appcompose.ComposeHash, document []byte, problem string) {
	if info.TCBInfo == "" {
		if !silent(onDisk) {
			return appcompose.ComposeHash{}, onDisk, "" // up, and has nothing to say yet
		}
		return appcompose.Hash(onDisk), onDisk, ""
	}
	var tcb vmmrpc.TCBInfo
	if err := json.Unmarshal([]byte(info.TCBInfo), &tcb); err != nil {
		return appcompose.ComposeHash{}, onDisk, fmt.Sprintf("the guest shows a tcb_info that does not parse: %v", err)
	}
	told, err := hex.DecodeString(tcb.ComposeHash)
	if err != nil || len(told) != len(hash) {
		return hash, onDisk, fmt.Sprintf("the guest says that its compose hash is %.80q, want 64 hex digits", tcb.ComposeHash)
	}
	hash = appcompose.ComposeHash(told)
	if tcb.AppCompose != "" {
		document = []byte(tcb.AppCompose)
		if got := appcompose.Hash(document); got != hash {
			return appcompose.ComposeHash{}, document, fmt.Sprintf("the guest measured %s and shows a document with hash %s", hash, got)
		}
	} else {
		document = onDisk
	}
	for _, e := range tcb.EventLog {
		if e.Event == eventComposeHash && e.Payload != tcb.ComposeHash {
			return appcompose.ComposeHash{}, document, fmt.Sprintf("the guest says that it measured %s, and its event log has %.80q", hash, e.Payload)
		}
	}
	return hash, document, ""
}

// silent tells whether a document keeps the guest from showing what it measured.
func silent(document []byte) bool {
	var fields map[string]json.RawMessage // matches names exactly, unlike a struct
	if json.Unmarshal(document, &fields) != nil {
		return false
	}
	return string(fields["public_tcbinfo"]) == "false"
}
