package dockertest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

const (
	projectLabel  = "com.docker.compose.project"
	projectPrefix = "lockstep-"
)

// SuiteCVM is the id of the CVM that tests of the driver use.
const SuiteCVM = "5b1f0d6e-1f6b-4f0e-8a55-0a4c3f7e9b21"

// Sweep removes, now and when the test ends, what is on the engine of the CVM that tests of the driver use.
// Nothing else is touched: the engine may be one that others use.
func (e *Engine) Sweep(t *testing.T) {
	t.Helper()
	e.Remove(t, SuiteCVM)
	t.Cleanup(func() { e.Remove(t, SuiteCVM) })
}

// Remove removes what is on the engine of CVMs, whoever made it.
func (e *Engine) Remove(t *testing.T, cvms ...string) {
	t.Helper()
	if err := e.RemoveCVMs(context.Background(), cvms...); err != nil {
		t.Error(err)
	}
}

// RemoveCVMs is Remove for programs that are no test.
func (e *Engine) RemoveCVMs(ctx context.Context, cvms ...string) error {
	var errs []error
	for _, cvm := range cvms {
		if err := e.remove(ctx, client.Filters{}.Add("label", projectLabel+"="+projectPrefix+cvm)); err != nil {
			errs = append(errs, fmt.Errorf("remove CVM %s from the engine: %w", cvm, err))
		}
	}
	return errors.Join(errs...)
}

// Containers is how many containers a CVM has, whether they run or not.
func (e *Engine) Containers(t *testing.T, cvm string) int {
	t.Helper()
	list, err := e.Client.ContainerList(context.Background(), client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", projectLabel+"="+projectPrefix+cvm),
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

func (e *Engine) remove(ctx context.Context, filter client.Filters) error {
	containers, err := e.Client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return err
	}
	for _, c := range containers.Items {
		if _, err := e.Client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); failed(err) {
			return err
		}
	}
	networks, err := e.Client.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, n := range networks.Items {
		if _, err := e.Client.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); failed(err) {
			return err
		}
	}
	volumes, err := e.Client.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if _, err := e.Client.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); failed(err) {
			return err
		}
	}
	return nil
}

func failed(err error) bool { return err != nil && !errdefs.IsNotFound(err) }
