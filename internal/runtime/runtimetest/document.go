package runtimetest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// document makes an app-compose document of a compose text. It opens what a dstack guest needs to be asked for
// the logs of its containers.
func document(compose string) []byte {
	return fmt.Appendf(nil, `{"manifest_version":2,"name":"app","runner":"docker-compose","docker_compose_file":%s,"kms_enabled":true,"gateway_enabled":true,"public_logs":true,"allowed_envs":[]}`, quote(compose))
}

func (b *bench) document(app App, version int) []byte {
	return document(b.node.Compose(app, version))
}

func quote(text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return quoted
}

// oddDocuments are documents that a driver which parses and re-encodes would change. The compose text
// is the same in all.
func oddDocuments(compose string) map[string][]byte {
	q := string(quote(compose))
	const head = `"manifest_version":2,"name":"app","runner":"docker-compose","kms_enabled":true,`
	return map[string][]byte{
		"compact":             []byte(`{` + head + `"docker_compose_file":` + q + `}`),
		"trailing newline":    []byte(`{` + head + `"docker_compose_file":` + q + "}\n"),
		"space around":        []byte(" \t\r\n{" + head + `"docker_compose_file":` + q + "}\n\n  "),
		"indented":            []byte("{\n    \"name\": \"app\",\n    \"manifest_version\": 2,\n\n    \"runner\" : \"docker-compose\",\r\n    \"kms_enabled\":true,\"docker_compose_file\":\t" + q + "\n}"),
		"raw unicode":         []byte(`{` + head + `"description":"größer ≥ 中文 🚀 \u2028 ` + "\u2028" + `","docker_compose_file":` + q + `}`),
		"needless escapes":    []byte(`{` + head + `"description":"\u0061\/\u00e9\ud83d\ude80<>&","docker_compose_file":` + q + `}`),
		"numbers":             []byte(`{` + head + `"a":1.0,"b":1e3,"c":-0,"d":123456789012345678901234567890,"docker_compose_file":` + q + `}`),
		"unknown fields":      []byte(`{` + head + `"x_future":{"z":1,"a":[null,true,{}]},"docker_compose_file":` + q + `,"salt":"abc"}`),
		"large":               []byte(`{` + head + `"padding":"` + strings.Repeat("0123456789abcdef", 12_000) + `","docker_compose_file":` + q + `}`),
		"keys out of order":   []byte(`{"z":1,"docker_compose_file":` + q + `,"a":2,` + strings.TrimSuffix(head, ",") + `}`),
		"carriage returns":    []byte("{\r\n" + head + "\r\n\"docker_compose_file\":" + q + "\r\n}\r\n"),
		"empty unknown":       []byte(`{` + head + `"":"","docker_compose_file":` + q + `}`),
		"key with other case": []byte(`{` + head + `"Runner":"bash","docker_compose_file":` + q + `}`),
	}
}
