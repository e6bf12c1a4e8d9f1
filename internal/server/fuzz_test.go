package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/server/openapitest"
)

// FuzzHeaders sends a phase 2 with any headers through the whole server. Whatever they are, the answer
// is one that the document has and never a fault of the server.
func FuzzHeaders(f *testing.F) {
	h := newHarness(f)
	id := h.create("my-app", "ETHEREUM")
	hash, _ := h.patch(id, yamlTwo).want(f, 465).detail(f, "compose_hash").(string)
	h.log.forget()
	for _, seed := range [][5]string{
		{hash, goodTx, "2026-01-21", "text/yaml", "id-1"},
		{"0x" + strings.ToUpper(hash), api.AlreadyRegistered, "2025-10-28", "text/yaml; charset=utf-8", ""},
		{"", "", "", "", ""},
		{"", goodTx[2:], "x", "application/x-yaml", strings.Repeat("a", 65)},
		{"0x", "0x", "\x00", "multipart/form-data; boundary=b", "a b"},
		{hash[:63], goodTx + "0", "2026-01-21\r\n", "text/plain; charset=\"", "é"},
		{"\xff\xfe", "\r\nX-A: b", "9", "multipart/form-data; boundary=\"\"", "\n"},
		{hash, goodTx, "2026-01-21", "multipart/form-data; boundary=" + strings.Repeat("b", 80), "1"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	f.Fuzz(func(t *testing.T, composeHash, transactionHash, version, contentType, requestID string) {
		request := httptest.NewRequestWithContext(t.Context(), "PATCH", base+"/cvms/"+id+"/docker-compose", strings.NewReader(yamlTwo))
		for name, value := range map[string]string{
			api.HeaderAPIKey: h.alice, api.HeaderComposeHash: composeHash, api.HeaderTransactionHash: transactionHash,
			api.HeaderVersion: version, "Content-Type": contentType, api.HeaderRequestID: requestID,
		} {
			request.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.server.ServeHTTP(w, request)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if w.Code == http.StatusAccepted {
			t.Errorf("accepted without a registration: %s", w.Body)
		}
		if err := openapitest.Check(request, w.Code, w.Header(), w.Body.Bytes()); err != nil {
			t.Errorf("status %d: %v\n%s", w.Code, err, w.Body)
		}
		// The reads must bear the same headers.
		request = request.Clone(t.Context())
		request.Method, request.Body = http.MethodGet, http.NoBody
		request.URL.Path = base + "/cvms/" + id
		w = httptest.NewRecorder()
		h.server.ServeHTTP(w, request)
		if w.Code != http.StatusOK {
			t.Errorf("GET: status %d: %s", w.Code, w.Body)
		}
		if err := openapitest.Check(request, w.Code, w.Header(), w.Body.Bytes()); err != nil {
			t.Errorf("GET: %v\n%s", err, w.Body)
		}
	})
}
