// Package sim is the runtime driver that needs no machine: it plays a dstack host inside the process, so
// that the control plane can be used, shown and tested where there is no TEE.
//
// What it simulates, and where it differs from dstack:
//
//   - A CVM is a folder that holds the exact bytes of its app-compose document, its encrypted
//     environment and a record of what it is meant to do. A node that is opened again boots the CVMs that
//     were meant to run, as a host does after a reboot.
//   - A boot goes through dstack's boot_progress words in dstack's order. It reads the document from
//     the folder at that moment and measures the SHA-256 of what it read (Status.RunningHash); a write to
//     the folder never changes what runs.
//   - Before it gets its keys, a CVM asks a kms.Authorizer what a dstack-kms would ask its webhook. A
//     denial ends the boot with the guest's words, "… App not allowed: Boot denied: <reason>". A real
//     guest then reboots and asks for ever; a simulated one stays down (exited) until it is started
//     again. A simulated CVM asks even if its document turns the KMS off: that a document is checked
//     before it boots is what this driver is there to show.
//   - The services of the compose text become simulated containers: they have an id, a state, a health
//     and logs, and they run nothing. Labels steer them, see Directives. A boot that dstack would leave
//     half up with "failed to start containers" ends as exited here.
//   - Measurements other than the compose hash are made up (see bootInfo) and no quote is signed.
//
// Time comes from package time, so that tests run under testing/synctest; only the timestamps shown to
// users come from Config.Now.
package sim
