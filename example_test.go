package lockstep_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

const compose = "services:\n  web:\n    image: nginx:1.29\n"

// exampleServer answers like a server with one CVM whose KMS asks a contract.
func exampleServer() *httptest.Server {
	hash, app := strings.Repeat("ab", 32), strings.Repeat("50", 20)
	var accepted bool
	mux := http.NewServeMux()
	mux.HandleFunc("PATCH /api/v1/cvms/{id}/docker-compose", func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get(api.HeaderComposeHash) {
		case "":
			w.WriteHeader(api.StatusHashRegistrationRequired)
			fmt.Fprintf(w, `{"error_code":"ERR-01-005","message":"register the compose hash","details":[
				{"field":"compose_hash","value":%q},{"field":"app_id","value":%q},{"field":"device_id","value":""},
				{"field":"kms_info","value":{"id":"kms_1","slug":"base","url":"","version":"","chain_id":8453}}]}`, hash, app)
		case hash:
			accepted = true
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"status":"in_progress","message":"rolling out","correlation_id":"op_1"}`)
		default:
			w.WriteHeader(api.StatusHashInvalidOrExpired)
			fmt.Fprint(w, `{"error_code":"ERR-01-006","message":"compose hash expired","suggestions":["start again with phase 1"]}`)
		}
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}", func(w http.ResponseWriter, r *http.Request) {
		current := strings.Repeat("00", 32)
		if accepted {
			current = hash
		}
		fmt.Fprintf(w, `{"id":"cvm_1","name":"my-app","status":"running","compose_hash":%q,"resource":{},"gateway":{}}`, current)
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}/compose_file", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"name":"my-app"}`)
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}/state", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: state\ndata: {\"name\":\"my-app\",\"status\":\"starting\"}\n\n"+
			"event: state\ndata: {\"name\":\"my-app\",\"status\":\"running\"}\n\n"+
			"event: complete\ndata: {\"status\":\"running\",\"elapsed\":2,\"target\":\"running\"}\n\n")
	})
	mux.HandleFunc("GET /api/v1/cvms/paginated", func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		fmt.Fprintf(w, `{"items":[{"id":"cvm_%[1]s","name":"app-%[1]s","status":"running"}],"total":2,"page":%[1]s,"page_size":1,"pages":2}`, page)
	})
	return httptest.NewServer(mux)
}

func exampleClient(server *httptest.Server) *lockstep.Client {
	client, err := lockstep.NewClient(lockstep.WithAPIKey("phak_example"), lockstep.WithBaseURL(server.URL+"/api/v1"))
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// Both phases by hand.
func ExampleClient_UpdateDockerCompose() {
	server := exampleServer()
	defer server.Close()
	client, ctx := exampleClient(server), context.Background()

	result, err := client.UpdateDockerCompose(ctx, "my-app", compose)
	if err != nil {
		log.Fatal(err)
	}
	switch r := result.(type) {
	case *lockstep.InProgress:
		fmt.Println("accepted:", r.CorrelationID)
	case *lockstep.Precondition:
		fmt.Println("register", r.ComposeHash[:8], "on chain", *r.KMS.ChainID)
		transaction := "0x" + strings.Repeat("12", 32) // of addComposeHash, sent by the owner
		result, err = client.UpdateDockerCompose(ctx, "my-app", compose,
			lockstep.WithComposeHash(r.ComposeHash), lockstep.WithTransactionHash(transaction))
		if err != nil {
			log.Fatal(err)
		}
		if r, ok := result.(*lockstep.InProgress); ok {
			fmt.Println("accepted:", r.CorrelationID)
		}
	}
	// Output:
	// register abababab on chain 8453
	// accepted: op_1
}

// Outcomes as values.
func ExampleClient_SafeUpdateDockerCompose() {
	server := exampleServer()
	defer server.Close()

	result := exampleClient(server).SafeUpdateDockerCompose(context.Background(), "my-app", "")
	fmt.Println(result.Success, result.Error)
	// Output:
	// false compose: got an empty document, want a Docker Compose file
}

// Both phases and the rollout in one call, which can be repeated after a crash.
func ExampleClient_Apply() {
	server := exampleServer()
	defer server.Close()

	result, err := exampleClient(server).Apply(context.Background(), lockstep.ApplyRequest{
		CVM:     "my-app",
		Compose: compose,
		Approver: lockstep.ApproverFunc(func(ctx context.Context, a lockstep.Approval) (string, error) {
			// Look at the contract first, then send addComposeHash with the owner's key.
			return "0x" + strings.Repeat("12", 32), nil
		}),
		Wait:     true,
		Progress: func(e lockstep.ApplyEvent) { fmt.Println(e.Step) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("runs", result.ComposeHash[:8])
	// Output:
	// propose
	// approve
	// confirm
	// accepted
	// waiting
	// done
	// runs abababab
}

// What went wrong, for a program and for a person.
func ExampleAPIError() {
	server := exampleServer()
	defer server.Close()

	_, err := exampleClient(server).UpdateDockerCompose(context.Background(), "my-app", compose,
		lockstep.WithComposeHash(strings.Repeat("00", 32)), lockstep.WithTransactionHash(lockstep.AlreadyRegistered))
	if errors.Is(err, lockstep.ErrHashInvalidOrExpired) {
		fmt.Println("start again")
	}
	var refusal *lockstep.APIError
	if errors.As(err, &refusal) {
		fmt.Println(refusal.FormatError())
	}
	// Output:
	// start again
	// lockstep: PATCH /cvms/my-app/docker-compose: 466 ERR-01-006: compose hash expired
	//   → start again with phase 1
}

func ExampleClient_ListCVMs() {
	server := exampleServer()
	defer server.Close()

	for cvm, err := range exampleClient(server).ListCVMs(context.Background(), lockstep.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(cvm.ID, cvm.Name, cvm.Status)
	}
	// Output:
	// cvm_1 app-1 running
	// cvm_2 app-2 running
}

func ExampleClient_WatchCVMState() {
	server := exampleServer()
	defer server.Close()

	for event, err := range exampleClient(server).WatchCVMState(context.Background(), "my-app", lockstep.WatchOptions{Target: api.StatusRunning}) {
		if err != nil {
			log.Fatal(err)
		}
		if event.State != nil {
			fmt.Println(event.State.Status)
		}
	}
	// Output:
	// starting
	// running
}

func ExampleClient_GetCVMComposeFile() {
	server := exampleServer()
	defer server.Close()

	file, err := exampleClient(server).GetCVMComposeFile(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n%s\n", file.Bytes(), file.Hash())
	// Output:
	// {"name":"my-app"}
	// 2656dd4776df88270edb10f1607107081a448b5733bfa1879ad82fbb1a29c77e
}

// An update that goes on in another process where the first one was interrupted.
func ExampleNewFileCheckpoint() {
	server := exampleServer()
	defer server.Close()
	folder, err := os.MkdirTemp("", "lockstep")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	ctx, interrupt := context.WithCancel(context.Background())
	request := lockstep.ApplyRequest{
		CVM:        "my-app",
		Compose:    compose,
		Checkpoint: lockstep.NewFileCheckpoint(filepath.Join(folder, "my-app.json")),
		Approver: lockstep.ApproverFunc(func(ctx context.Context, a lockstep.Approval) (string, error) {
			fmt.Println("asked for an approval")
			interrupt() // the process is stopped right after the transaction was mined
			return "0x" + strings.Repeat("12", 32), nil
		}),
	}
	_, err = exampleClient(server).Apply(ctx, request)
	fmt.Println("interrupted:", errors.Is(err, context.Canceled))

	result, err := exampleClient(server).Apply(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("accepted:", result.CorrelationID)
	// Output:
	// asked for an approval
	// interrupted: true
	// accepted: op_1
}

func ExampleEncryptEnvVars() {
	publicKey := "ba7a0c5755bb5bbca75bfa12674bb3e9906063ad11b52cb8875ddad334e6556d" // of GetAppEnvEncryptPubKey
	encrypted, err := lockstep.EncryptEnvVars([]lockstep.EnvVar{{Key: "TOKEN", Value: "s3cret"}}, publicKey, rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(encrypted)/2, "bytes")
	// Output:
	// 102 bytes
}
