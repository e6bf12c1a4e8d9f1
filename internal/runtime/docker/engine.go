package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
)

// engineRetry is how long to wait before an engine that did not answer is asked again.
const engineRetry = time.Second

func pause(ctx context.Context, d time.Duration) error { return guest.Pause(ctx, d) }

// connect makes the client of the engine. It does no I/O.
func connect(c Config) (*client.Client, error) {
	options := []client.Opt{client.WithHost(c.Host)}
	if strings.HasPrefix(c.Host, "ssh://") {
		helper, err := connhelper.GetConnectionHelper(c.Host)
		if err != nil {
			return nil, fmt.Errorf("docker: host: %w", err)
		}
		options = []client.Opt{client.WithHost(helper.Host), client.WithDialContext(helper.Dialer)}
	}
	if c.CertDir != "" {
		options = append(options, client.WithTLSClientConfig(
			filepath.Join(c.CertDir, caFile), filepath.Join(c.CertDir, certFile), filepath.Join(c.CertDir, keyFile)))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("docker: engine %s: %w", c.Host, err)
	}
	return engine, nil
}

// engineError gives an error of the engine its place among those of package runtime.
func engineError(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case unreachable(err):
		return fmt.Errorf("%w: docker engine: %s: %w", runtime.ErrUnreachable, what, err)
	default:
		return fmt.Errorf("docker engine: %s: %w", what, err)
	}
}

// unreachable tells an engine that did not answer from one that refused. Whatever has no class of the engine's
// comes from the connection.
func unreachable(err error) bool {
	if client.IsErrConnectionFailed(err) || errdefs.IsUnavailable(err) {
		return true
	}
	for _, answered := range []func(error) bool{
		errdefs.IsNotFound, errdefs.IsInvalidArgument, errdefs.IsConflict, errdefs.IsUnauthorized, errdefs.IsPermissionDenied,
		errdefs.IsNotModified, errdefs.IsInternal, errdefs.IsUnknown, errdefs.IsNotImplemented, errdefs.IsFailedPrecondition,
	} {
		if answered(err) {
			return false
		}
	}
	return !errors.Is(err, context.Canceled)
}

// answers says whether the engine answers now.
func (d *Driver) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := d.engine.Ping(ctx, client.PingOptions{})
	return err == nil
}
