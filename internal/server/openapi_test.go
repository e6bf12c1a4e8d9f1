package server_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/server"
	"github.com/lockstep-cvm/lockstep/internal/server/openapitest"
)

// What the server does and what the document says are the same set of operations.
func TestDocumentHasEveryRouteAndNoOther(t *testing.T) {
	doc, err := openapitest.Document()
	if err != nil {
		t.Fatal(err)
	}
	documented := map[server.Route]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[server.Route{Method: method, Pattern: path}] = true
		}
	}
	for _, route := range server.Routes() {
		if !documented[route] {
			t.Errorf("%s %s is not in openapi.yaml", route.Method, route.Pattern)
		}
		delete(documented, route)
	}
	for _, route := range slices.Collect(maps.Keys(documented)) {
		t.Errorf("%s %s is in openapi.yaml and is not served", route.Method, route.Pattern)
	}
}

func TestEveryOperationHasAnIDOfItsOwn(t *testing.T) {
	doc, err := openapitest.Document()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			where := method + " " + path
			if other, taken := seen[operation.OperationID]; taken || operation.OperationID == "" {
				t.Errorf("%s: operationId %q is empty or that of %s", where, operation.OperationID, other)
			}
			seen[operation.OperationID] = where
		}
	}
}
