// Package dstack is the runtime driver for hosts that run dstack-vmm: a client of its RPC, JSON over HTTP on
// TCP, TLS or a unix socket.
//
// How it maps what a Runtime promises onto what the VMM offers:
//
//   - Identity. The VMM draws its own ids and CreateVm is not idempotent. The name of a VM ends with the id of
//     the CVM; that is how it is found, so nothing is lost when a process dies between call and answer. VMs are
//     created stopped. Where two were created for one CVM, all sides agree on the earlier one.
//   - Apply. UpdateVm rewrites files one by one, also under a VM that runs. The driver changes them only
//     when no process runs, the environment before the document, so that a document seen on the host has its
//     environment with it; and it reads both back. The VMM cannot clear an environment: an empty one, encrypted
//     to the key of the app, takes its place, which the driver knows by its length.
//   - Start and Stop. The process of the last boot must be gone before the next one is started. A guest that
//     did not boot keeps its process; to this driver it is exited, and it is cut off before anything else is
//     done with it.
//   - NextHash is the hash of the file on the host's disk.
//   - RunningHash is what the guest says that it measured (the compose_hash of its tcb_info, if it fits the
//     document and the event log that it shows as well). It is not attested: host and guest could lie, as any
//     driver's could. A document with public_tcbinfo false makes the guest silent. Then it is the hash of the
//     file on disk, which is what was booted unless somebody else rewrote it since, for this driver does not
//     while a process runs.
//   - Health is that of the containers in the guest: "done" only says that compose up returned.
//   - Times. The VMM tells ages in whole seconds. StartedAt and ExitedAt are what this process saw, and
//     otherwise the earliest time that fits, up to a second early.
//   - Logs. The console has no times. Logs of containers come from the guest agent, through the gateway, and
//     only while the CVM runs with a document that has gateway_enabled and public_logs.
package dstack
