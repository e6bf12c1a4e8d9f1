package dockertest

import (
	"context"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// Sweep removes, now and when the test ends, what CVMs have left on the engine that a test may have made. On an
// engine that others use, it leaves everything that is not a test's.
func (e *Engine) Sweep(t *testing.T) {
	t.Helper()
	e.sweep(t)
	t.Cleanup(func() { e.sweep(t) })
}

func (e *Engine) sweep(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	mine := client.Filters{}.Add("label", "com.docker.compose.project=lockstep-"+SuiteCVM)
	list, err := e.Client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		t.Errorf("sweep: %v", err)
	}
	for _, c := range list.Items {
		if _, err := e.Client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !strings.Contains(err.Error(), "No such container") {
			t.Errorf("sweep: %v", err)
		}
	}
	networks, err := e.Client.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	if err != nil {
		t.Errorf("sweep: %v", err)
	}
	for _, n := range networks.Items {
		if _, err := e.Client.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Errorf("sweep: %v", err)
		}
	}
	volumes, err := e.Client.VolumeList(ctx, client.VolumeListOptions{Filters: mine})
	if err != nil {
		t.Errorf("sweep: %v", err)
	}
	for _, v := range volumes.Items {
		if _, err := e.Client.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil {
			t.Errorf("sweep: %v", err)
		}
	}
}

// SuiteCVM is the id of the CVM that tests of the driver use.
const SuiteCVM = "5b1f0d6e-1f6b-4f0e-8a55-0a4c3f7e9b21"
