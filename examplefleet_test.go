package lockstep_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

const (
	exampleApp  = "5050505050505050505050505050505050505050"
	exampleHash = "abababababababababababababababababababababababababababababababab"
)

// fleetServer answers like a server with an app of two CVMs. Each look at a rollout finds it one step on.
func fleetServer() *httptest.Server {
	states := []string{"running", "paused"}
	answer := func(w http.ResponseWriter) {
		fmt.Fprintf(w, `{"rollout_id":"rol_1","app_id":%q,"compose_hash":%q,"transaction_hash":null,"strategy":"canary","max_unavailable":1,
			"canary":1,"min_ready":10,"max_failures":0,"state":%q,"reason":"as the example has it","created_by":"key_1","created_at":"2026-01-02T03:04:05Z",
			"state_since":"2026-01-02T03:04:05Z","finished_at":null,"targets":[]}`, exampleApp, exampleHash, states[0])
	}
	becomes := func(next ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			states = next
			answer(w)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/apps/{app}/rollouts", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		answer(w)
	})
	mux.HandleFunc("GET /api/v1/apps/{app}/rollouts", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"items":[`)
		answer(w)
		fmt.Fprint(w, `]}`)
	})
	mux.HandleFunc("GET /api/v1/apps/{app}/rollouts/rol_1", func(w http.ResponseWriter, r *http.Request) {
		answer(w)
		if len(states) > 1 {
			states = states[1:]
		}
	})
	mux.HandleFunc("POST /api/v1/apps/{app}/rollouts/rol_1/pause", becomes("paused"))
	mux.HandleFunc("POST /api/v1/apps/{app}/rollouts/rol_1/resume", becomes("running", "succeeded"))
	mux.HandleFunc("POST /api/v1/apps/{app}/rollouts/rol_1/abort", becomes("rolling_back", "rolled_back"))
	mux.HandleFunc("POST /api/v1/cvms/{id}/replicas", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "elsewhere" {
			w.WriteHeader(api.StatusHashRegistrationRequired)
			fmt.Fprintf(w, `{"error_code":"ERR-01-005","message":"registration required","details":[{"field":"missing","value":[
				{"kind":"device","value":%q,"call":"addDevice(0x%[1]s)"}]}]}`, strings.Repeat("de", 32))
			return
		}
		fmt.Fprint(w, `{"id":2,"name":"my-app-0a1b2c","status":"provisioning"}`)
	})
	return httptest.NewServer(mux)
}

func ExampleClient_CreateReplica() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	replica, err := client.CreateReplica(context.Background(), "my-app", api.ReplicateRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(replica.Name, replica.Status)
	// Output: my-app-0a1b2c provisioning
}

// What the owner has to allow before a CVM may run on another device.
func ExampleMissingApprovals() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	_, err := client.CreateReplica(context.Background(), "elsewhere", api.ReplicateRequest{})
	for _, m := range lockstep.MissingApprovals(err) {
		fmt.Println(m.Kind, m.Call[:14])
	}
	// Output: device addDevice(0xde
}

// A canary first; then a person looks and promotes it.
func ExampleClient_StartRollout() {
	server := fleetServer()
	defer server.Close()
	client, ctx := exampleClient(server), context.Background()

	rollout, err := client.StartRollout(ctx, exampleApp, api.RolloutRequest{
		ComposeHash: exampleHash, Strategy: api.RolloutCanary, MaxUnavailable: api.Percent(25),
	})
	if err != nil {
		log.Fatal(err)
	}
	rollout, err = client.WaitRollout(ctx, exampleApp, rollout.RolloutID, time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rollout.State)
	if _, err := client.ResumeRollout(ctx, exampleApp, rollout.RolloutID); err != nil {
		log.Fatal(err)
	}
	rollout, err = client.WaitRollout(ctx, exampleApp, rollout.RolloutID, time.Millisecond)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rollout.State)
	// Output:
	// paused
	// succeeded
}

func ExampleClient_ResumeRollout() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	rollout, err := client.ResumeRollout(context.Background(), exampleApp, "rol_1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rollout.State)
	// Output: running
}

func ExampleClient_PauseRollout() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	rollout, err := client.PauseRollout(context.Background(), exampleApp, "rol_1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rollout.State)
	// Output: paused
}

func ExampleClient_AbortRollout() {
	server := fleetServer()
	defer server.Close()
	client, ctx := exampleClient(server), context.Background()

	if _, err := client.AbortRollout(ctx, exampleApp, "rol_1"); err != nil {
		log.Fatal(err)
	}
	_, err := client.WaitRollout(ctx, exampleApp, "rol_1", time.Millisecond)
	if failed, ok := errors.AsType[*lockstep.FleetError](err); ok {
		fmt.Println(failed.Rollout.State)
	}
	// Output: rolled_back
}

func ExampleClient_WatchRollout() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	for rollout, err := range client.WatchRollout(context.Background(), exampleApp, "rol_1", time.Millisecond) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(rollout.State)
		if rollout.State == api.RolloutPaused {
			break
		}
	}
	// Output:
	// running
	// paused
}

func ExampleClient_Rollout() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	rollout, err := client.Rollout(context.Background(), exampleApp, "rol_1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rollout.State, rollout.Reason)
	// Output: running as the example has it
}

func ExampleClient_Rollouts() {
	server := fleetServer()
	defer server.Close()
	client := exampleClient(server)

	rollouts, err := client.Rollouts(context.Background(), exampleApp, 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(rollouts), rollouts[0].RolloutID)
	// Output: 1 rol_1
}
