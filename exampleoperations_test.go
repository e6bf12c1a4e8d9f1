package lockstep_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// powerServer answers like a server with one CVM, on which two things were done.
func powerServer() *httptest.Server {
	mux := http.NewServeMux()
	for action, status := range map[string]string{"start": "starting", "stop": "stopping", "shutdown": "shutting_down", "restart": "restarting"} {
		mux.HandleFunc("POST /api/v1/cvms/my-app/"+action, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"id":1,"name":"my-app","status":%q,"teepod_id":1,"app_id":%q,"vcpu":1,"memory":2048,"disk_size":20,"created_at":"2026-01-02T03:04:05Z"}`, status, exampleApp)
		})
	}
	mux.HandleFunc("DELETE /api/v1/cvms/my-app", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /api/v1/cvms/my-app/operations/cancel", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"cancelled":true,"correlation_id":"op-2"}`)
	})
	mux.HandleFunc("GET /api/v1/cvms/my-app/operation-status", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"status":"in_progress","correlation_id":"op-2","operation_type":"compose_update","state":"verifying",
			"reason":"booted; waits until it is healthy","since":"2026-01-02T03:04:05Z","cancellable":true}`)
	})
	mux.HandleFunc("GET /api/v1/cvms/my-app/operations", func(w http.ResponseWriter, r *http.Request) {
		id, kind, status, next := "op-2", "compose_update", "in_progress", `"more"`
		if r.URL.Query().Get("cursor") == "more" {
			id, kind, status, next = "op-1", "power_on", "completed", "null"
		}
		fmt.Fprintf(w, `{"items":[{"correlation_id":%q,"operation_type":%q,"target_state":"running","status":%q,"started_at":"2026-01-02T03:04:05Z"}],
			"next_cursor":%s,"total":2}`, id, kind, status, next)
	})
	return httptest.NewServer(mux)
}

func powerClient(server *httptest.Server) *lockstep.Client {
	client, err := lockstep.NewClient(lockstep.WithAPIKey("example"), lockstep.WithBaseURL(server.URL+"/api/v1"))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func ExampleClient_StartCVM() {
	server := powerServer()
	defer server.Close()
	vm, err := powerClient(server).StartCVM(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vm.Status)
	// Output: starting
}

func ExampleClient_StopCVM() {
	server := powerServer()
	defer server.Close()
	vm, err := powerClient(server).StopCVM(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vm.Status)
	// Output: stopping
}

// The guest gets two minutes; then it is cut off.
func ExampleClient_ShutdownCVM() {
	server := powerServer()
	defer server.Close()
	force := true
	vm, err := powerClient(server).ShutdownCVM(context.Background(), "my-app", api.ShutdownOptions{
		ShutdownTimeout: api.ShutdownTimeout{Given: true, Seconds: 120}, AllowForceStop: &force,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vm.Status)
	// Output: shutting_down
}

func ExampleClient_RestartCVM() {
	server := powerServer()
	defer server.Close()
	vm, err := powerClient(server).RestartCVM(context.Background(), "my-app", api.RestartRequest{Force: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vm.Status)
	// Output: restarting
}

func ExampleClient_DeleteCVM() {
	server := powerServer()
	defer server.Close()
	if err := powerClient(server).DeleteCVM(context.Background(), "my-app"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("gone")
	// Output: gone
}

// A cancelled update leaves the CVM with the document that it ran before.
func ExampleClient_CancelOperation() {
	server := powerServer()
	defer server.Close()
	result, err := powerClient(server).CancelOperation(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	if result.Cancelled {
		fmt.Println("cancelled", *result.CorrelationID)
	}
	// Output: cancelled op-2
}

func ExampleClient_Operations() {
	server := powerServer()
	defer server.Close()
	for operation, err := range powerClient(server).Operations(context.Background(), "my-app", lockstep.OperationsOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(operation.CorrelationID, operation.OperationType, operation.Status)
	}
	// Output:
	// op-2 compose_update in_progress
	// op-1 power_on completed
}

func ExampleClient_OperationStatus() {
	server := powerServer()
	defer server.Close()
	now, err := powerClient(server).OperationStatus(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	if now.Status != api.OperationIdle {
		fmt.Printf("%s: %s\n", *now.OperationType, *now.Reason)
	}
	// Output: compose_update: booted; waits until it is healthy
}
