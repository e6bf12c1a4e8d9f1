//go:build !linux

package postgrestest

import "syscall"

// unprivileged is whom PostgreSQL runs as: the user of the test.
func unprivileged() (*syscall.Credential, error) { return nil, nil } //nolint:nilnil // nil is an answer here

func attributes(*syscall.Credential) *syscall.SysProcAttr { return nil }
