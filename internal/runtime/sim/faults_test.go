package sim_test

import (
	"bufio"
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

var errFault = errors.New("cosmic ray")

func TestFaultAtEveryStage(t *testing.T) {
	for _, stage := range []sim.Stage{
		sim.StageBooting, sim.StageRequestingAppKeys, sim.StageInitializingDisk, sim.StageDiskReady,
		sim.StageGateway, sim.StageDocker, sim.StageInitScript, sim.StagePreLaunch,
		sim.StageStartingContainers, sim.StageDone,
	} {
		t.Run(string(stage), func(t *testing.T) {
			faults := sim.NewFaults()
			node := open(t, sim.Config{Faults: faults})
			create(t, node, document(t, webCompose, func(f map[string]any) {
				f["init_script"], f["pre_launch_script"] = "true", "true"
			}))
			faults.FailStage(cvmID, stage, errFault)
			status := boot(t, node)
			if status.State != runtime.StateExited || status.BootError != errFault.Error() || status.BootProgress != string(stage) || len(status.Services) != 0 {
				t.Errorf("status: %+v", status)
			}
			if status := boot(t, node); status.State != runtime.StateRunning || status.BootError != "" {
				t.Errorf("the fault struck twice: %+v", status)
			}
		})
	}
}

func TestFaultsOfOtherRunners(t *testing.T) {
	faults := sim.NewFaults()
	node := open(t, sim.Config{Faults: faults})
	create(t, node, document(t, "", func(f map[string]any) { f["runner"], f["bash_script"] = "bash", "exit 0" }))
	boot(t, node)
	stop(t, node)
	for _, stage := range []sim.Stage{sim.StageMountingDisk, sim.StageMainScript} {
		faults.FailStage("", stage, errFault) // of any CVM
		if status := boot(t, node); status.State != runtime.StateExited || status.BootProgress != string(stage) {
			t.Errorf("fault at %s: %+v", stage, status)
		}
	}
	faults.FailStage(cvmID, sim.StageHealthCheck, errFault)
	if status := boot(t, node); status.State != runtime.StateRunning || status.BootProgress != "done" {
		t.Errorf("fault at the health check: %+v", status)
	}
	await(t, node, func(s runtime.Status) bool { return s.Health == runtime.HealthUnhealthy })
}

func TestFaultAtEveryCall(t *testing.T) {
	doc := document(t, webCompose, nil)
	other := document(t, webCompose+"# other\n", nil)
	calls := map[sim.Call]func(*testing.T, *sim.Node) error{
		sim.CallCreate: func(t *testing.T, n *sim.Node) error {
			return n.Create(t.Context(), runtime.Spec{ID: cvmID, AppID: appID, Config: runtime.Config{Document: doc}})
		},
		sim.CallApply: func(t *testing.T, n *sim.Node) error {
			return n.Apply(t.Context(), cvmID, runtime.Config{Document: other})
		},
		sim.CallStart: func(t *testing.T, n *sim.Node) error { return n.Start(t.Context(), cvmID) },
		sim.CallStop:  func(t *testing.T, n *sim.Node) error { return n.Stop(t.Context(), cvmID, runtime.StopOptions{}) },
		sim.CallStatus: func(t *testing.T, n *sim.Node) error {
			_, err := n.Status(t.Context(), cvmID)
			return err
		},
		sim.CallLogs: func(t *testing.T, n *sim.Node) error {
			reader, err := n.Logs(t.Context(), cvmID, runtime.LogOptions{})
			if err == nil {
				reader.Close()
			}
			return err
		},
		sim.CallRemove: func(t *testing.T, n *sim.Node) error { return n.Remove(t.Context(), cvmID) },
	}
	for name, call := range calls {
		for _, after := range []bool{false, true} {
			faults := sim.NewFaults()
			node := open(t, sim.Config{Faults: faults})
			if name != sim.CallCreate {
				create(t, node, doc)
			}
			before, beforeErr := node.Status(t.Context(), cvmID)
			faults.Add(sim.Fault{CVM: "another", Call: name, Err: errors.New("not this one")})
			if after {
				faults.LoseAnswer(cvmID, name, errFault)
			} else {
				faults.FailCall(cvmID, name, errFault)
			}
			if err := call(t, node); !errors.Is(err, errFault) {
				t.Errorf("%s: %v, want the fault", name, err)
			}
			status, err := node.Status(t.Context(), cvmID)
			changed := (err == nil) != (beforeErr == nil) || status.NextHash != before.NextHash || status.StartedAt != before.StartedAt
			changes := name == sim.CallCreate || name == sim.CallApply || name == sim.CallStart || name == sim.CallRemove
			if changed != (after && changes) {
				t.Errorf("%s with a fault (after: %v): status went from %+v to %+v", name, after, before, status)
			}
			if err := call(t, node); err != nil {
				t.Errorf("%s repeated: %v", name, err)
			}
		}
	}
}

func TestFaultTimesAndDisarm(t *testing.T) {
	faults := sim.NewFaults()
	node := open(t, sim.Config{Faults: faults})
	create(t, node, document(t, webCompose, nil))
	failures := func() (n int) {
		for range 5 {
			if _, err := node.Status(t.Context(), cvmID); err != nil {
				n++
			}
		}
		return n
	}
	faults.Add(sim.Fault{Call: sim.CallStatus, Err: errFault, Times: 3})
	if n := failures(); n != 3 {
		t.Errorf("a fault of 3 times struck %d times", n)
	}
	ever := faults.Add(sim.Fault{Call: sim.CallStatus, Err: errFault, Times: -1})
	if n := failures(); n != 5 {
		t.Errorf("a fault for ever struck %d of 5 times", n)
	}
	ever.Disarm()
	ever.Disarm()
	if n := failures(); n != 0 {
		t.Errorf("a disarmed fault struck %d times", n)
	}
}

func TestSlowStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := sim.NewFaults()
		node := open(t, sim.Config{Faults: faults})
		create(t, node, document(t, webCompose, nil))
		boot(t, node)
		slow := faults.HoldStage(cvmID, sim.StagePoweringOff)
		if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{}); err != nil {
			t.Fatal(err)
		}
		<-slow.Struck()
		synctest.Wait()
		status, _ := node.Status(t.Context(), cvmID)
		if status.State != runtime.StateStopping || status.ShutdownProgress != "powering off" || status.RunningHash.IsZero() {
			t.Errorf("during a slow stop: %+v", status)
		}
		if err := node.Start(t.Context(), cvmID); !errors.Is(err, runtime.ErrConflict) {
			t.Errorf("Start while stopping: %v, want ErrConflict", err)
		}
		other := runtime.Config{Document: document(t, "", nil)}
		if err := node.Apply(t.Context(), cvmID, other); !errors.Is(err, runtime.ErrConflict) {
			t.Errorf("Apply while stopping: %v, want ErrConflict", err)
		}
		if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{}); err != nil {
			t.Errorf("second Stop: %v", err)
		}
		slow.Release()
		await(t, node, func(s runtime.Status) bool { return s.State == runtime.StateStopped && s.ShutdownProgress == "" })

		// A guest that does not react at all goes down by force.
		boot(t, node)
		faults.Add(sim.Fault{Stage: sim.StagePoweringOff, Err: errFault})
		if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if status, _ := node.Status(t.Context(), cvmID); status.State != runtime.StateStopping {
			t.Errorf("a guest that does not react: %+v", status)
		}
		if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		if status, _ := node.Status(t.Context(), cvmID); status.State != runtime.StateStopped {
			t.Errorf("after Force: %+v", status)
		}
	})
}

func TestStopDuringBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := sim.NewFaults()
		node := open(t, sim.Config{Faults: faults})
		create(t, node, document(t, webCompose, nil))
		for _, force := range []bool{false, true} {
			hang := faults.HoldStage(cvmID, sim.StageRequestingAppKeys)
			if err := node.Start(t.Context(), cvmID); err != nil {
				t.Fatal(err)
			}
			<-hang.Struck()
			status, _ := node.Status(t.Context(), cvmID)
			if status.State != runtime.StateStarting || status.RunningHash.IsZero() || status.BootProgress != "requesting app keys" {
				t.Errorf("during a hanging boot: %+v", status)
			}
			if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{Force: force}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // and not because anybody released it
			if status, _ := node.Status(t.Context(), cvmID); status.State != runtime.StateStopped || status.BootError != "" {
				t.Errorf("stopped (force: %v) during a boot: %+v", force, status)
			}
		}
		if status := boot(t, node); status.State != runtime.StateRunning {
			t.Errorf("boot after stops: %+v", status)
		}
	})
}

// TestGuestOutlivesItsPower has a boot that hangs in a call which does not listen to its context, while the
// CVM is cut off and booted again. Whatever the old guest then does, it is not seen.
func TestGuestOutlivesItsPower(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int32
			release := make(chan struct{})
			node := open(t, sim.Config{Authorizer: kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) {
				if asked.Add(1) > 1 {
					return kms.Decision{Allowed: true}, nil
				}
				<-release
				return kms.Decision{Allowed: allowed, Reason: "too late"}, nil
			})})
			create(t, node, document(t, webCompose, nil))
			if err := node.Start(t.Context(), cvmID); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until the first guest hangs
			if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
			other := document(t, "services: {other: {image: b}}", nil)
			apply(t, node, other)
			want := boot(t, node)
			close(release)
			synctest.Wait() // until the first guest has done what it can
			got, err := node.Status(t.Context(), cvmID)
			if err != nil || got.RunningHash != appcompose.Hash(other) || !reflect.DeepEqual(got, want) {
				t.Errorf("status is\n%+v, %v; want\n%+v", got, err, want)
			}
		})
	}
}

// TestCloseEndsEverything leaves as much as possible under way; synctest fails if a goroutine is left.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := sim.NewFaults()
		node := open(t, sim.Config{Faults: faults})
		create(t, node, document(t, webCompose, nil))
		boot(t, node)
		reader, err := node.Logs(t.Context(), cvmID, runtime.LogOptions{Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		follower := make(chan error, 1)
		go func() {
			scanner := bufio.NewScanner(reader)
			for scanner.Scan() {
			}
			follower <- scanner.Err()
		}()
		changed, err := node.Watch(t.Context(), cvmID)
		if err != nil {
			t.Fatal(err)
		}
		faults.HoldStage(cvmID, sim.StagePoweringOff)
		if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{}); err != nil {
			t.Fatal(err)
		}
		status := faults.Add(sim.Fault{Call: sim.CallStatus, Hold: true})
		held := make(chan error, 1)
		go func() {
			_, err := node.Status(t.Context(), cvmID)
			held <- err
		}()
		<-status.Struck()
		synctest.Wait()
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-held; !errors.Is(err, runtime.ErrUnreachable) {
			t.Errorf("a call under way at Close: %v, want ErrUnreachable", err)
		}
		if err := <-follower; err != nil {
			t.Errorf("a follower at Close: %v, want the end of the log", err)
		}
		for range changed { // ends because Close closes it
		}
	})
}

func TestAccidents(t *testing.T) {
	node := open(t, sim.Config{})
	create(t, node, document(t, "services: {web: {image: a}, db: {image: b}}", nil))
	if err := node.CrashContainer(cvmID, "web", 1); !errors.Is(err, runtime.ErrNoContainer) {
		t.Errorf("CrashContainer before the boot: %v, want ErrNoContainer", err)
	}
	boot(t, node)
	if err := node.CrashContainer(cvmID, "db", 137); err != nil {
		t.Fatal(err)
	}
	status := await(t, node, func(s runtime.Status) bool { return s.Health == runtime.HealthUnhealthy })
	if db := status.Services[1]; db.Name != "db" || db.State != "exited" || db.ExitCode != 137 || db.Status != "Exited (137) Less than a second ago" {
		t.Errorf("crashed container: %+v", db)
	}
	if err := node.CrashContainer(cvmID, "db", 1); !errors.Is(err, runtime.ErrConflict) {
		t.Errorf("second CrashContainer: %v, want ErrConflict", err)
	}
	if err := node.CrashContainer("nobody", "db", 1); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("CrashContainer of an unknown CVM: %v, want ErrNotFound", err)
	}

	for range 2 {
		if err := node.PowerLoss(cvmID); err != nil {
			t.Fatal(err)
		}
	}
	status, _ = node.Status(t.Context(), cvmID)
	if status.State != runtime.StateExited || status.BootError != "" || !status.RunningHash.IsZero() || status.ExitedAt.IsZero() {
		t.Errorf("after a power loss: %+v", status)
	}
	if status := boot(t, node); status.Health != runtime.HealthHealthy {
		t.Errorf("boot after a power loss: %+v", status)
	}
	if err := node.PowerLoss("nobody"); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("PowerLoss of an unknown CVM: %v, want ErrNotFound", err)
	}
}
