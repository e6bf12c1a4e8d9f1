package docker_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

// dialStdio is the variable that makes this program the far end of an ssh connection: `docker system dial-stdio`
// to the socket that it names.
const dialStdio = "LOCKSTEP_TEST_DIAL_STDIO"

func TestMain(m *testing.M) {
	if socket := os.Getenv(dialStdio); socket != "" {
		if err := playDialStdio(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(dockertest.Run(m))
}

func playDialStdio(socket string) error {
	engine, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(engine, os.Stdin)
		_ = engine.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, engine)
	return err
}
