package devcloud

import (
	"context"
	"slices"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// TestReadyMeansThatTheCVMsRun starts a cloud again on its folder, where the node has to boot its CVMs
// first: a client that acts as soon as the cloud is ready must find them running.
func TestReadyMeansThatTheCVMsRun(t *testing.T) { storetest.Each(t, readyMeansThatTheCVMsRun) }

func readyMeansThatTheCVMsRun(t *testing.T, databaseURL string) {
	config := Config{Listen: "127.0.0.1:0", RPCListen: "127.0.0.1:0", DataDir: t.TempDir(), DatabaseURL: databaseURL, Pace: -1}
	var first []CVM
	for range 4 {
		cloud, err := Start(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		principal, err := cloud.Server.Control.Authenticate(t.Context(), cloud.Ready.APIKey)
		if err != nil {
			t.Fatal(err)
		}
		for _, seeded := range cloud.Ready.CVMs {
			cvm, err := cloud.Server.Control.CVM(t.Context(), principal, seeded.ID)
			if err != nil {
				t.Fatal(err)
			}
			if cvm.Status() != control.StatusRunning {
				t.Errorf("the cloud is ready and %s is %s", seeded.Name, cvm.Status())
			}
		}
		if first == nil {
			first = cloud.Ready.CVMs
		}
		if !slices.Equal(cloud.Ready.CVMs, first) {
			t.Errorf("started again with %+v, want %+v", cloud.Ready.CVMs, first)
		}
		if err := cloud.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
