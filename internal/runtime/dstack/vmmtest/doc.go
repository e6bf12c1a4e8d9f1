// Package vmmtest is a dstack-vmm without a TEE host: a server of its RPC, with its names, its states, its
// errors and its traps, for tests and for trying things out. Its guests are those of runtime/sim.
//
// What it holds to, because a control plane can go wrong on it:
//
//   - UpdateVm rewrites files, step by step, also while the VM runs; a later step that is refused leaves
//     the earlier ones done. What runs is not touched. The id in its answer is the beginning of the new
//     compose hash and not the id of the VM.
//   - The compose_file of a status is the file on disk, pending or not. What a guest measured is known to
//     the guest alone (/guest/Info), and not even there when the document has public_tcbinfo false.
//   - "running" says that a process exists. A guest that was denied its keys keeps its process and boots again
//     in place; one whose containers do not start sits there. Both show a boot_error, which only StartVm
//     clears. "done" says that compose up returned, nothing about health.
//   - StopVm and ShutdownVm return before the process is gone. StartVm finding the old process starts nothing
//     new, and the VM is "exited" once that process ends.
//   - Ids are drawn by the VMM, CreateVm is not idempotent, and times are texts such as "1h 2m 3s".
//
// What it leaves out: the protobuf form of messages, discovery, registry and supervisor methods, and
// everything about QEMU. A guest whose containers did not start has no guest agent here. When a VMM is opened
// again, the guests that ran boot once more with the files that they ran with, in place of going on.
package vmmtest
