// Command testapp is what the containers of tests run: the only program in an image that has nothing else.
//
//	testapp serve VERSION   says "version VERSION" in its log and over HTTP on port 8080
//	testapp slow VERSION    as serve, but its health check fails until it was asked five times
//	testapp sick VERSION    as serve, but its health check never passes
//	testapp crash CODE      says "about to fail" and "boom", and exits with the code
//	testapp check           the health check: asks the server of the same container
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const address = "127.0.0.1:8080"

func main() {
	mode, argument := "serve", os.Getenv("VERSION")
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	if len(os.Args) > 2 {
		argument = os.Args[2]
	}
	switch mode {
	case "check":
		os.Exit(check())
	case "crash":
		fmt.Println("about to fail")
		fmt.Println("boom")
		code, err := strconv.Atoi(argument)
		if err != nil {
			code = 1
		}
		os.Exit(code)
	default:
		if err := serve(mode, argument); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

func check() int {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/health", http.NoBody)
	if err != nil {
		return 1
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 1
	}
	defer func() { _ = response.Body.Close() }() // nothing is read
	if response.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}

func serve(mode, version string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var checks atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "version %s greeting %q\n", version, os.Getenv("GREETING")) //nolint:gosec // both are the test's own, and it is no HTML
	})
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if mode == "sick" || mode == "slow" && checks.Add(1) <= 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Println("version", version)
	if err := server.ListenAndServe(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
