// Package docker is the runtime driver for a Docker Engine: a CVM is a Compose project on it. There is no TEE;
// it is for development, staging and continuous integration of an app, and every answer about it says so.
//
// What it does as dstack does it, and where it differs:
//
//   - A CVM is a folder with the exact bytes of its app-compose document (package hostdisk). A boot reads
//     them once, hashes what it read (Status.RunningHash) and hands the compose text in it, byte for byte, to
//     the Compose plugin. The hash is in the CVM's record, so it is known after a restart of this process.
//   - A boot asks the KMS (package guest), opens the environment, sources the pre-launch script and runs
//     `compose up -d --remove-orphans`, as a guest does. "done" means that compose came back; health is that
//     of the containers. What did not come up is stopped again, and the CVM is exited.
//   - Containers outlive this process. One that is opened again takes over what runs; it goes on with a boot
//     or a shutdown that was cut off.
//   - Stop stops the containers and keeps them, so that their last words can be read and the next boot of
//     the same document starts them again, as after a reboot of a guest. Volumes stay until Remove. What the
//     engine starts by itself of a CVM that is down is stopped again: only a boot, which asks the KMS, may.
//   - All CVMs of an engine share its ports and its container names. There is no gateway: Status tells
//     the ports that are published.
//   - A pre-launch script runs where this process runs, so it only runs when the engine is there too, see
//     Config.PreLaunch.
//   - init_script, verity volumes and the runners nerdctl-compose and bash belong to the guest's image;
//     a document that has them does not boot here.
//
// Containers are looked at, stopped and removed through the Engine's API; only what Compose exists for goes
// through the plugin, as a child process.
package docker
