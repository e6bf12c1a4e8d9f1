//go:build unix

package docker

import (
	"os/exec"
	"syscall"
)

// detach keeps a child process out of our process group, so that a Ctrl-C which ends this process does not look
// like a failed boot, and has it asked to end before it is killed.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = childGrace
}
