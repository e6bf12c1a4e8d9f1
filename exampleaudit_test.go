package lockstep_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
)

// auditServer answers like a server with an app of one CVM that was updated once.
func auditServer() *httptest.Server {
	revision := func(id, operation string) string {
		return fmt.Sprintf(`{"revision_id":%q,"app_id":%q,"vm_uuid":"6b1f0000-0000-4000-8000-000000000000","compose_hash":%q,
			"created_at":"2026-01-02T03:04:05Z","operation_type":%q,"status":"succeeded"`, id, exampleApp, exampleHash, operation)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/apps/{app}/revisions", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"revisions":[%s},%s}],"total":2,"page":1,"page_size":50,"total_pages":1}`, revision("rev_2", "update"), revision("rev_1", "deploy"))
	})
	mux.HandleFunc("GET /api/v1/apps/{app}/revisions/rev_1", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, revision("rev_1", "deploy")+`,"compose_file":"{\"manifest_version\":2}","encrypted_env":"","user_config":""}`)
	})
	redeployed := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"status":"in_progress","message":"The revision is being rolled out","correlation_id":"c0","cvms":[{"vm_uuid":"6b1f","correlation_id":"c0","unchanged":false}]}`)
	}
	mux.HandleFunc("POST /api/v1/cvms/my-app/revisions/rev_1/redeploy", redeployed)
	mux.HandleFunc("POST /api/v1/apps/{app}/revisions/rev_1/redeploy", redeployed)
	page := api.History{AppID: exampleApp, Head: api.HistoryHead{Hash: history.NoHash}}
	for _, state := range []string{"proposed", "approved", "succeeded"} {
		e := api.HistoryEntry{Time: "2026-01-02T03:04:05.000000Z", Kind: history.KindUpdate, Actor: "key_1", Facts: map[string]string{"to": state}}
		var err error
		if page.Head, _, err = history.Append(exampleApp, page.Head, &e); err != nil {
			log.Fatal(err)
		}
		page.Entries = append(page.Entries, e)
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		page.Public = page.Public || r.Method == http.MethodPatch
		if err := json.NewEncoder(w).Encode(page); err != nil {
			log.Fatal(err)
		}
	}
	mux.HandleFunc("GET /api/v1/apps/{app}/history", answer)
	mux.HandleFunc("PATCH /api/v1/apps/{app}/history", answer)
	return httptest.NewServer(mux)
}

func ExampleClient_Revisions() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	page, err := client.Revisions(context.Background(), exampleApp, 1, 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, revision := range page.Revisions {
		fmt.Println(revision.RevisionID, revision.OperationType, revision.Status)
	}
	// Output:
	// rev_2 update succeeded
	// rev_1 deploy succeeded
}

func ExampleClient_Revision() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	revision, document, err := client.Revision(context.Background(), exampleApp, "rev_1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(revision.RevisionID, string(document))
	// Output: rev_1 {"manifest_version":2}
}

// Back to what a CVM ran before, without a new transaction.
func ExampleClient_Redeploy() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	done, err := client.Redeploy(context.Background(), "my-app", "rev_1", lockstep.RedeployOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.Message)
	// Output: The revision is being rolled out
}

func ExampleClient_RedeployApp() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	// A key makes it safe to repeat the call, also when nobody knows whether it arrived.
	ctx := lockstep.ContextWithIdempotencyKey(context.Background(), "rollback-2026-01-02")
	done, err := client.RedeployApp(ctx, exampleApp, "rev_1", lockstep.RedeployOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(done.CVMs), done.Status)
	// Output: 1 in_progress
}

// Reads a history and checks it: nothing was removed, changed or reordered.
func ExampleClient_History() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	page, err := client.History(context.Background(), exampleApp, 0, 0)
	if err != nil {
		log.Fatal(err)
	}
	verifier := history.Verifier{AppID: page.AppID}
	for _, entry := range page.Entries {
		if err := verifier.Add(entry); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(verifier.End(page.Head) == nil)

	page.Entries[1].Facts["to"] = "cancelled"
	b, err := json.Marshal(page)
	if err != nil {
		log.Fatal(err)
	}
	_, err = history.Check(strings.NewReader(string(b)))
	fmt.Println(err != nil)
	// Output:
	// true
	// true
}

func ExampleClient_SetHistoryPublic() {
	server := auditServer()
	defer server.Close()
	client := exampleClient(server)

	page, err := client.SetHistoryPublic(context.Background(), exampleApp, true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Public)
	// Output: true
}
