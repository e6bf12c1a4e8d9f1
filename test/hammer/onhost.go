package main

import (
	"context"
	"math/rand/v2"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// What the CVMs of a run can be on.
const (
	onDstack = "dstack"
	onDocker = "docker"
)

// host is what the CVMs run on.
type host interface {
	// node is what a server is told of the host, and leave takes back what was made for that server.
	node(s *server) (settings string, leave func() error)
	// good is a Compose file that boots and gets healthy, different for every version.
	good(version int64) string
	// bad is one that does not.
	bad(version int64) string
	// expect is told of every version before a server can know of it.
	expect(version int64, g grant)

	// fail makes something of the host fail until it is mended, and says what.
	fail(random *rand.Rand) string
	mend()

	// settle waits until every boot so far is in the diary.
	settle(ctx context.Context) error
	// look finds out what became of a CVM, without asking a server.
	look(ctx context.Context, vmUUID string) (hosted, error)
	// names gives the names of VMs by the ids under which the diary has their calls.
	names(ctx context.Context) (map[string]string, error)
}

// hosted is what a host has of a CVM.
type hosted struct {
	state runtime.State
	runs  appcompose.ComposeHash // what was measured of what runs
	holds appcompose.ComposeHash // of the bytes that boot next
	error string
}
