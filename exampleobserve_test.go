package lockstep_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// observedServer answers like a server with one CVM that runs one container.
func observedServer() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/cvms/{id}/composition", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"is_online":true,"error":null,"docker_compose_file":"","manifest_version":2,"version":"1.0.0","runner":"docker-compose",
			"features":[],"containers":[{"id":"c0ffee","names":["/dstack-web-1"],"image":"nginx:1.29","image_id":"sha256:1","created":1700000000,
			"state":"running","status":"Up 2 hours (healthy)","log_endpoint":"http://%s/log?token=secret"}]}`, r.Host)
	})
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(api.HeaderAPIKey) != "" || !r.URL.Query().Has("bare") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "tail %s: listening on :80\n", r.URL.Query().Get("tail"))
	})
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s: dstack booted\n", r.URL.Query().Get("ch"))
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"id":1,"name":"my-app","status":"running","syslog_endpoint":"http://%s/console?token=secret"}`, r.Host)
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}/stats", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"is_online":true,"error":null,"status":"running","boot_progress":"done","boot_error":null,"sysinfo":{"num_cpus":2,
			"total_memory":4294967296,"available_memory":3221225472,"disks":[]}}`)
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}/network", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"is_online":true,"error":null,"internal_ip":"10.4.0.7","latest_handshake":null,
			"public_urls":[{"app":"https://5050-80.apps.example.org","instance":"https://aaaa-80.apps.example.org"}]}`)
	})
	mux.HandleFunc("GET /api/v1/cvms/{id}/user_config", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"hostname":null,"ssh_authorized_keys":[],"default_gateway_domain":"apps.example.org"}`)
	})
	mux.HandleFunc("POST /api/v1/status/batch", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"550e8400-e29b-41d4-a716-446655440000":{"vm_uuid":"550e8400-e29b-41d4-a716-446655440000","status":"running","uptime":"2h0m0s","in_progress":false}}`)
	})
	mux.HandleFunc("GET /api/v1/apps", func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		fmt.Fprintf(w, `{"dstack_apps":[{"id":"prj_%[1]s","name":"app-%[1]s","app_id":"5050","created_at":"","kms_type":"phala","cvm_count":%[1]s}],
			"page":%[1]s,"page_size":1,"total":2,"total_pages":2}`, page)
	})
	return httptest.NewServer(mux)
}

func ExampleClient_GetCVMComposition() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	found, err := client.GetCVMComposition(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range found.Containers {
		fmt.Println(c.Names[0], c.Image, c.Status)
	}
	// Output: /dstack-web-1 nginx:1.29 Up 2 hours (healthy)
}

// The last ten lines of a container, without an API key in the request for them.
func ExampleClient_ContainerLog() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	text, err := client.ContainerLog(context.Background(), "my-app", "dstack-web-1", lockstep.LogOptions{Tail: 10})
	if err != nil {
		log.Fatal(err)
	}
	defer text.Close()
	if _, err := io.Copy(os.Stdout, text); err != nil {
		log.Fatal(err)
	}
	// Output: tail 10: listening on :80
}

func ExampleClient_ConsoleLog() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	text, err := client.ConsoleLog(context.Background(), "my-app", api.LogChannelSerial, lockstep.LogOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer text.Close()
	if _, err := io.Copy(os.Stdout, text); err != nil {
		log.Fatal(err)
	}
	// Output: serial: dstack booted
}

func ExampleClient_GetCVMStats() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	stats, err := client.GetCVMStats(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	if stats.Sysinfo == nil {
		log.Fatal(*stats.Error) // why nobody can tell
	}
	fmt.Printf("%d CPUs, %d of %d MiB free\n", stats.Sysinfo.NumCPUs, stats.Sysinfo.AvailableMemory>>20, stats.Sysinfo.TotalMemory>>20)
	// Output: 2 CPUs, 3072 of 4096 MiB free
}

func ExampleClient_GetCVMNetwork() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	network, err := client.GetCVMNetwork(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(network.PublicURLs[0].App)
	// Output: https://5050-80.apps.example.org
}

func ExampleClient_GetCVMUserConfig() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	config, err := client.GetCVMUserConfig(context.Background(), "my-app")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*config.DefaultGatewayDomain)
	// Output: apps.example.org
}

func ExampleClient_GetCVMStatusBatch() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	const uuid = "550e8400-e29b-41d4-a716-446655440000"
	statuses, err := client.GetCVMStatusBatch(context.Background(), uuid, "00000000-0000-4000-8000-000000000000")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(statuses), statuses[uuid].Status, *statuses[uuid].Uptime)
	// Output: 1 running 2h0m0s
}

func ExampleClient_ListApps() {
	server := observedServer()
	defer server.Close()
	client := exampleClient(server)

	for app, err := range client.ListApps(context.Background(), lockstep.AppFilter{Search: "app"}, lockstep.ListOptions{PageSize: 1}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(app.Name, app.CVMCount)
	}
	// Output:
	// app-1 1
	// app-2 2
}
