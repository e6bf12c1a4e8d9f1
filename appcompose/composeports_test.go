package appcompose

import (
	"encoding/json"
	"slices"
	"testing"
)

func portsOf(t testing.TB, compose string) []int {
	t.Helper()
	text, err := json.Marshal(map[string]any{"manifest_version": 2, "name": "app", "runner": "docker-compose", "docker_compose_file": compose})
	if err != nil {
		t.Fatal(err)
	}
	document, err := Parse(text)
	if err != nil {
		return nil
	}
	return document.PublishedPorts()
}

func TestPublishedPorts(t *testing.T) {
	for _, tt := range []struct {
		name, ports string
		want        []int
	}{
		{"none", "[]", nil},
		{"short", `["8080:80", "443:443/tcp", 22:22]`, []int{8080, 443, 22}},
		{"twice", `["8080:80", "0.0.0.0:8080:81"]`, []int{8080}},
		{"a range", `["9000-9002:80-82"]`, []int{9000, 9001, 9002}},
		{"long", `[{target: 80, published: "8080"}, {target: 81, published: 8081, protocol: TCP}]`, []int{8080, 8081}},
		{"too wide a range", `["1-65535:1-65535", "8080:80"]`, []int{8080}},
		{"chosen by docker", `["80", {target: 81}]`, nil},
		{"chosen by a variable", `["${PORT}:80", "8081:81"]`, []int{8081}},
		{"not from outside", `["127.0.0.1:8080:80", "[::1]:8081:80", {target: 82, published: 8082, host_ip: 127.0.0.9}]`, nil},
		{"no TCP", `["53:53/udp", {target: 53, published: 54, protocol: udp}]`, nil},
		{"no ports", `["70000:80", "x:y", "-1:80", "0:80", {published: high}]`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := portsOf(t, "services: {web: {image: a, ports: "+tt.ports+"}}"); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if got := portsOf(t, "services: {a: {ports: ['1-100:1-100']}}"); len(got) != maxPublishedPorts {
		t.Errorf("got %d ports, want %d", len(got), maxPublishedPorts)
	}
	for _, text := range []string{"", "services: [", "services: [a]", "services: {a: {ports: 80}}", "x: &x {<<: *x}"} {
		if got := portsOf(t, text); len(got) != 0 {
			t.Errorf("%q publishes %v", text, got)
		}
	}
}

func FuzzPublishedPorts(f *testing.F) {
	f.Add("services: {web: {image: a, ports: ['8080:80', {target: 81, published: 81}]}}")
	f.Fuzz(func(t *testing.T, compose string) {
		for _, port := range portsOf(t, compose) {
			if port < 1 || port > 65535 {
				t.Fatalf("%q publishes %d", compose, port)
			}
		}
	})
}
