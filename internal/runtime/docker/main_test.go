package docker_test

import (
	"os"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

func TestMain(m *testing.M) { os.Exit(dockertest.Run(m)) }
