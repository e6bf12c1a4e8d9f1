package server_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestUpdateOffChain(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	accepted := h.patch(id, yamlTwo).want(t, 202, "status", "in_progress")
	correlation := accepted.text(t, "correlation_id")
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "status", "updating", "in_progress", true, "progress.correlation_id", correlation)
	h.do("GET", base+"/cvms/"+id, "", api.HeaderVersion, "2025-10-28").want(t, 200, "status", "updating", "in_progress", true)

	// Asked again it is the same operation; something else has to wait, and says so without a code.
	h.patch(id, yamlTwo).want(t, 202, "correlation_id", correlation)
	busy := h.patch(id, yamlThree).want(t, 409, "error_code", nil)
	if busy.text(t, "detail") == "" {
		t.Errorf("no text in %s", busy.body)
	}
	h.settle(id)
	h.do("GET", base+"/cvms/"+id+"/docker-compose.yml", "").want(t, 200)
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "status", "running", "docker_compose_hash", sum([]byte(yamlTwo)), "progress", nil)
	h.patch(id, yamlTwo).want(t, 202, "message", "The CVM runs this Docker Compose file already; nothing was restarted")
}

func TestUpdateOnChain(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "ETHEREUM")
	need := h.patch(id, yamlTwo).want(t, 465, "error_code", "ERR-01-005", "message", "Compose hash registration required on-chain", "detail", nil)
	hash, _ := need.detail(t, "compose_hash").(string)
	if info, _ := need.detail(t, "kms_info").(map[string]any); info["id"] != "kms_on" || info["chain"] == nil {
		t.Errorf("kms_info is %v", info)
	}
	if need.detail(t, "app_id") != strings.Repeat("a", 40) || need.detail(t, "device_id") != "de"+strings.Repeat("00", 31) {
		t.Errorf("app_id or device_id is wrong in %s", need.body)
	}
	call := fmt.Sprintf("addComposeHash(0x%s) on 0x%s on chain 1337", hash, strings.Repeat("a", 40))
	if got := need.text(t, "suggestions.0"); !strings.Contains(got, call) {
		t.Errorf("suggestion %q does not have %q", got, call)
	}
	if strings.Contains(string(need.body), "null,") && strings.Contains(string(need.body), `"value":null`) {
		t.Errorf("a value is null in %s", need.body)
	}
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "status", "running")

	phase2 := func(yaml, hash, tx string) answer {
		return h.patch(id, yaml, api.HeaderComposeHash, hash, api.HeaderTransactionHash, tx)
	}
	phase2(yamlTwo, strings.Repeat("12", 32), goodTx).want(t, 466, "error_code", "ERR-01-006")
	phase2(yamlThree, hash, goodTx).want(t, 466, "error_code", "ERR-01-006")
	phase2(yamlTwo, "no hash", goodTx).want(t, 466, "error_code", "ERR-01-006")
	phase2(yamlTwo, hash, goodTx).want(t, 467, "error_code", "ERR-01-007")
	phase2(yamlTwo, hash, "no hash").want(t, 467, "error_code", "ERR-01-007")
	phase2(yamlTwo, hash, api.AlreadyRegistered).want(t, 468, "error_code", "ERR-01-008")

	h.chain.setDown(true)
	if body := string(phase2(yamlTwo, hash, goodTx).want(t, 503).body); strings.Contains(body, "EOF") {
		t.Errorf("the cause leaks: %s", body)
	}
	h.chain.setDown(false)

	h.chain.register(hash, goodTx)
	phase2(yamlTwo, "0x"+strings.ToUpper(hash), strings.ToUpper(goodTx[2:])).want(t, 202, "status", "in_progress")
	h.settle(id)
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "status", "running", "compose_hash", hash)
}

func TestUpdateRefusesWhatCannotRun(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	h.patch(id, "").want(t, 400, "error_code", "ERR-01-002")
	h.patch(id, " \n").want(t, 400, "error_code", "ERR-01-002")
	h.patch(id, "services: [").want(t, 422, "error_code", "ERR-01-003", "details.0.field", "docker_compose_file")
	h.patch(id, "services:\n  web: {image: a, image: b}\n").want(t, 422, "error_code", "ERR-01-003")
	h.patch(id, "services: {web: {image: \xff}}").want(t, 422, "error_code", "ERR-01-003")
	h.patch("nobody-here", yamlTwo).want(t, 404, "error_code", "ERR-03-001")
	h.patch(id, yamlTwo, api.HeaderAPIKey, h.bob).want(t, 404, "error_code", "ERR-03-001")
	h.patch(id, yamlTwo, api.HeaderAPIKey, h.reader).want(t, 403, "error_code", nil)
	h.patch(id, yamlTwo, api.HeaderAPIKey, "").want(t, 401, "error_code", nil)
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "status", "running", "docker_compose_hash", sum([]byte(yamlOne)))
}

// sized makes a valid Compose file of so many bytes.
func sized(n int) string {
	return yamlTwo + "#" + strings.Repeat("x", n-len(yamlTwo)-2) + "\n"
}

func TestUpdateSizes(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, over := range []int{1, 8 << 10, 1 << 20, 5 << 20} {
		h.patch(id, sized(appcompose.MaxComposeSize+over)).want(t, 413, "error_code", "ERR-01-003")
		body, contentType := form(t, "file", sized(appcompose.MaxComposeSize+over))
		h.patch(id, body, "Content-Type", contentType).want(t, 413, "error_code", "ERR-01-003")
	}
	h.patch(id, sized(appcompose.MaxComposeSize)).want(t, 202)
	h.settle(id)
	if got := h.do("GET", base+"/cvms/"+id+"/docker-compose.yml", ""); len(got.body) != appcompose.MaxComposeSize {
		t.Errorf("stored %d bytes, want %d", len(got.body), appcompose.MaxComposeSize)
	}
}

func form(t *testing.T, pairs ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		part, err := w.CreateFormFile(pairs[i], "docker-compose.yml")
		must(t, err)
		_, err = part.Write([]byte(pairs[i+1]))
		must(t, err)
	}
	must(t, w.Close())
	return b.String(), w.FormDataContentType()
}

func TestUpdateTakesEveryWayToSendAFile(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	n := 0
	// The file differs each time, so that an answer cannot be that of the one before. A form must keep
	// line ends too.
	next := func() string {
		n++
		return fmt.Sprintf("services:\r\n  web:\r\n    image: nginx:1.%d \r\n", n)
	}
	accept := func(t *testing.T, body, contentType, yaml string) {
		t.Helper()
		h.patch(id, body, "Content-Type", contentType).want(t, 202)
		h.settle(id)
		if got := h.do("GET", base+"/cvms/"+id+"/docker-compose.yml", ""); string(got.body) != yaml {
			t.Errorf("stored %q, want %q", got.body, yaml)
		}
	}
	for _, contentType := range []string{
		"text/yaml", "text/yaml; charset=utf-8", "TEXT/YAML;charset=\"UTF-8\"", "text/x-yaml", "application/yaml",
		"application/x-yaml", "text/plain", "text/plain;charset=us-ascii",
	} {
		t.Run(contentType, func(t *testing.T) {
			yaml := next()
			accept(t, yaml, contentType, yaml)
		})
	}
	t.Run("form", func(t *testing.T) {
		yaml := next()
		body, contentType := form(t, "note", "not this", "file", yaml)
		accept(t, body, contentType, yaml)
	})
}

func TestUpdateRefusesOtherContentTypes(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, contentType := range []string{
		"", "application/json", "text/html", "text/yaml; charset=latin1", "yaml", "text/yaml; =", "application/octet-stream",
		"multipart/form-data", "multipart/mixed; boundary=x", "application/x-www-form-urlencoded",
	} {
		t.Run(contentType, func(t *testing.T) {
			refused := h.patch(id, yamlTwo, "Content-Type", contentType).want(t, 400, "error_code", "ERR-01-002", "details.0.field", "Content-Type")
			message := refused.text(t, "message")
			if !strings.Contains(message, fmt.Sprintf("%q", contentType)) || !strings.Contains(message, "text/yaml") {
				t.Errorf("%q does not name what was seen and expected", message)
			}
		})
	}
	for name, pairs := range map[string][]string{"no file": {"other", yamlTwo}, "two files": {"file", yamlTwo, "file", yamlThree}} {
		t.Run(name, func(t *testing.T) {
			body, contentType := form(t, pairs...)
			h.patch(id, body, "Content-Type", contentType).want(t, 400, "error_code", "ERR-01-002", "details.0.field", "file")
		})
	}
	h.patch(id, "--x\r\nbroken", "Content-Type", "multipart/form-data; boundary=x").want(t, 400, "error_code", "ERR-02-008")
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "docker_compose_hash", sum([]byte(yamlOne)))
}
