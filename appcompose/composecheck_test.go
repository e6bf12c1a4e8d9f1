package appcompose_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

const smallCompose = `services:
  web:
    image: nginx:1.27@sha256:0000000000000000000000000000000000000000000000000000000000000000
    ports:
      - "8080:80"
    environment:
      - API_KEY=${API_KEY}
      - MODE=production
    volumes:
      - /var/run/dstack.sock:/var/run/dstack.sock
      - data:/data
    depends_on:
      - db
    restart: always
  db:
    image: postgres:17
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U app"]
      interval: 10s
volumes:
  data: {}
`

const allSorts = `name: app
x-logging: &logging
  driver: json-file
  options: {max-size: 10m}
services:
  app:
    image: registry.example/app@sha256:0000000000000000000000000000000000000000000000000000000000000000
    container_name: app
    platform: linux/amd64
    init: true
    user: "1000:1000"
    restart: unless-stopped
    command: ["sh", "-c", "run && wait || exit 1"]
    entrypoint: |
      sh -c '
        echo $$HOME
      '
    env_file: [{path: .env, required: false}]
    environment: ["A=1", B, "C=$${D}"]
    ports: ["80", "127.0.0.1:81:81/udp", "9000-9010:9000-9010", {target: 82, published: "82", mode: host}]
    expose: ["8080"]
    volumes:
      - /var/run/dstack.sock:/var/run/dstack.sock
      - cache:/cache:rw
      - {type: tmpfs, target: /tmp, tmpfs: {size: 64mb}}
    tmpfs: /run
    shm_size: 2gb
    mem_limit: 1.5g
    cpus: 1.5
    ulimits: {nofile: {soft: 1024, hard: 2048}, nproc: 65535}
    sysctls: [net.core.somaxconn=1024]
    cap_add: [NET_ADMIN]
    security_opt: ["no-new-privileges:true"]
    devices: ["/dev/fuse:/dev/fuse:rwm"]
    extra_hosts: ["host.docker.internal:host-gateway"]
    dns: [1.1.1.1]
    labels: {com.example.a: "1"}
    logging: *logging
    networks: {front: {aliases: [web]}, back: }
    depends_on: {db: {condition: service_healthy, restart: true}}
    healthcheck: {test: curl -f http://localhost, interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s}
    stop_grace_period: 1m
    deploy:
      replicas: 1
      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3}
      resources: {limits: {cpus: "1.50", memory: 1.5g}, reservations: {memory: 20M}}
    secrets: [token]
    configs: [{source: conf, target: /etc/app.conf, mode: 0440}]
  db:
    image: postgres:17
    networks: [back]
    healthcheck: {disable: true}
networks:
  front:
    driver: bridge
    ipam: {config: [{subnet: 172.28.0.0/16}]}
  back: {internal: true}
volumes:
  cache:
secrets:
  token: {environment: TOKEN}
configs:
  conf:
    content: |
      listen ${PORT:-80}
`

func check(t testing.TB, text string) error {
	t.Helper()
	return appcompose.CheckCompose(context.Background(), []byte(text), appcompose.CheckOptions{})
}

func TestCheckComposeAccepts(t *testing.T) {
	const web = "services:\n  web:\n    image: nginx\n"
	tests := map[string]string{
		"small":                  smallCompose,
		"byte order mark":        "\ufeff" + web,
		"windows line ends":      strings.ReplaceAll(smallCompose, "\n", "\r\n"),
		"no final newline":       strings.TrimSpace(web),
		"obsolete version":       "version: \"3.8\"\n" + web,
		"project name":           "name: My App\n" + web,
		"dstack socket":          web + "    volumes:\n      - /var/run/dstack.sock:/var/run/dstack.sock\n      - /var/run/tappd.sock:/var/run/tappd.sock\n",
		"relative bind":          web + "    volumes: [\"./conf:/etc/nginx:ro\", \"~/x:/x\"]\n",
		"build context":          "services:\n  web:\n    build: ./app\n",
		"build long form":        "services:\n  web:\n    build:\n      context: https://example.invalid/repo.git\n      args: [A=1, B]\n",
		"inline dockerfile":      "services:\n  web:\n    build:\n      dockerfile_inline: |\n        FROM alpine\n",
		"extension fields":       "x-common: &c\n  restart: always\nservices:\n  web:\n    <<: *c\n    image: nginx\n    x-note: {a: [1, 2]}\n",
		"merge list":             "x-a: &a {restart: always}\nx-b: &b {image: nginx}\nservices:\n  web:\n    <<: [*a, *b]\n",
		"profiles":               web + "    profiles: [debug]\n",
		"depends on a profile":   web + "    depends_on: [db]\n  db:\n    image: postgres\n    profiles: [db]\n",
		"missing env_file":       web + "    env_file: ./no-such.env\n",
		"missing env_file list":  web + "    env_file: [{path: a.env, required: true}, b.env]\n",
		"missing label_file":     web + "    label_file: labels\n",
		"include":                "include:\n  - other.yaml\n" + web + "    depends_on: [elsewhere]\n",
		"only include":           "include: [other.yaml]\n",
		"extends":                web + "  two:\n    extends: web\n    command: x\n",
		"extends file":           "services:\n  web:\n    extends: {file: base.yaml, service: base}\n    ports: [\"80:80\"]\n",
		"default network":        web + "    networks: [default]\n",
		"external":               web + "    networks: [n]\n    volumes: [\"v:/v\"]\nnetworks: {n: {external: true}}\nvolumes: {v: {external: true, name: real}}\n",
		"anonymous volume":       web + "    volumes: [/data]\n",
		"secrets and configs":    web + "    secrets: [s]\n    configs: [{source: c, target: /c}]\nsecrets: {s: {environment: S}}\nconfigs: {c: {content: \"x\"}}\n",
		"gpu":                    web + "    deploy:\n      resources:\n        reservations:\n          devices:\n            - {driver: nvidia, count: all, capabilities: [gpu]}\n",
		"runtime and privileged": web + "    privileged: true\n    runtime: nvidia\n    pid: host\n",
		"variables everywhere": "services:\n  web:\n    image: ${IMAGE}\n    ports: [\"${PORT}:80\", \"${HOST_IP:-127.0.0.1}:${P2:-81}:81\"]\n    mem_limit: ${MEM}\n" +
			"    privileged: ${PRIV}\n    deploy: {replicas: \"${N}\"}\n    volumes: [\"${VOL}:/data\", \"${V2}/x:/y\"]\n    networks: [\"${NET}\"]\n" +
			"    healthcheck: {test: [\"CMD\", \"${T}\"], interval: \"${I}\", retries: \"${R}\"}\n    depends_on: [\"${DB}\"]\n    command: [\"${A:?must be set}\", \"${B-x}\", \"$C\"]\n",
		"variables with defaults": "services:\n  web:\n    image: nginx:${TAG:-1.27}\n    ports: [\"${PORT:-8080}:80\"]\n    deploy: {replicas: \"${N:-3}\"}\n",
		"shell substitution":      web + "    command: sh -c 'echo $(date) $1'\n",
		"escaped dollar":          web + "    command: sh -c 'echo $$HOME $$(date) $${X}'\n",
		"external from variable":  web + "    volumes: [\"v:/v\"]\nvolumes: {v: {external: \"${EXT}\"}}\n",
		"boolean as text":         web + "    privileged: \"true\"\n    read_only: \"false\"\n",
		"environment map":         web + "    environment: {A: 1, B: null, C: \"x\", D: true, E: 1.5}\n",
		"links":                   web + "    links: [\"db:database\"]\n  db: {image: postgres}\n",
		"share network":           web + "    network_mode: service:db\n  db: {image: postgres}\n",
		"volumes from":            web + "    volumes_from: [db:ro, \"container:other\"]\n  db: {image: postgres}\n",
		"reset tag":               web + "    command: !reset null\n    ports: !override [\"80:80\"]\n",
		"flow style":              `{"services": {"web": {"image": "nginx"}}}`,
		"dotted names":            "services:\n  my.web:\n    image: nginx\n    depends_on: [my.db]\n  my.db: {image: postgres}\n",
		"obsolete external":       web + "    volumes: [\"v:/v\"]\nvolumes: {v: {external: {name: real}}}\n",
		"old booleans":            web + "    privileged: \"yes\"\n    read_only: \"off\"\n",
		"many variables":          web + "    command: " + strings.Repeat("${A}", 200) + "\n",
		"all sorts":               allSorts,
		"date value":              web + "    labels: {built: 2026-01-01}\n",
		"empty document marker":   "---\n" + web + "...\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if err := check(t, text); err != nil {
				t.Errorf("refused: %v\n%s", err, text)
			}
		})
	}
}

// A variable must be accepted wherever a value may stand.
func TestCheckComposeAcceptsVariables(t *testing.T) {
	for _, field := range []string{
		"cpus: $X", "mem_limit: $X", "memswap_limit: \"${X}m\"", "shm_size: ${X}", "stop_grace_period: ${X}s", "scale: ${X}", "tty: ${X}",
		"init: ${X}", "ulimits: {nofile: \"${X}\"}", "ulimits: {nofile: {soft: \"${X}\", hard: 2}}", "restart: ${X}", "pull_policy: ${X}",
		"network_mode: ${X}", "network_mode: \"service:${X}\"", "ipc: ${X}", "platform: ${X}", "user: \"${X}:${Y}\"", "hostname: a-${X}",
		"container_name: a-${X}", "ports: [{target: \"${X}\", published: \"${Y}\"}]", "ports: [\"${X}-${Y}:80-90\"]", "expose: [\"${X}\"]",
		"deploy: {resources: {limits: {cpus: \"${X}\", memory: \"${X}\"}}}", "deploy: {restart_policy: {condition: \"${X}\", delay: \"${X}\"}}",
		"healthcheck: {test: \"${X}\", interval: \"${X}\", timeout: 1s, retries: \"${X}\", disable: \"${X}\"}", "env_file: \"${X}\"",
		"environment: {A: \"${X}\", B: \"${Y:?needed}\"}", "environment: [\"A=${X}\", \"${Y}=1\"]", "volumes: [\"${X}:${Y}:ro\"]",
		"volumes: [{type: volume, source: \"${X}\", target: \"${Y}\"}]", "volumes: [{type: \"${X}\", source: a, target: /b, read_only: \"${Y}\"}]",
		"devices: [\"${X}:${Y}\"]", "tmpfs: [\"${X}\"]", "secrets: [\"${X}\"]", "configs: [{source: \"${X}\", target: /a, mode: \"${Y}\"}]",
		"extra_hosts: [\"a:${X}\"]", "labels: {a: \"${X}\"}", "logging: {driver: \"${X}\", options: {max-size: \"${Y}\"}}", "sysctls: {a: \"${X}\"}",
		"cap_add: [\"${X}\"]", "security_opt: [\"${X}\"]", "dns: \"${X}\"", "links: [\"${X}\"]", "volumes_from: [\"${X}\"]", "profiles: [\"${X}\"]",
		"build: {context: \"${X}\", args: {A: \"${Y}\"}, target: \"${Y}\"}", "gpus: ${X}", "oom_score_adj: ${X}", "stdin_open: \"${X}\"",
	} {
		if err := check(t, "services:\n  web:\n    image: nginx:${TAG}\n    "+field+"\n"); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestCheckComposeRefuses(t *testing.T) {
	const web = "services:\n  web:\n    image: nginx\n"
	tests := map[string]struct {
		text    string
		line    int
		field   string
		message string // a part of it
	}{
		"empty":                  {"", 0, "", "empty"},
		"white space":            {" \n\n  \n", 0, "", "empty"},
		"comment":                {"# nothing\n", 0, "", "empty"},
		"null":                   {"~\n", 0, "", "empty"},
		"list":                   {"- a\n", 1, "", "expected a mapping"},
		"text":                   {"hello\n", 1, "", "expected a mapping"},
		"no services":            {"volumes: {}\n", 0, "services", "no services"},
		"services null":          {"services:\n", 0, "services", "no services"},
		"services empty":         {"services: {}\n", 0, "services", "no services"},
		"services list":          {"services: [a]\n", 1, "services", "must be a mapping"},
		"service null":           {"services:\n  web:\n", 2, "services.web", ""},
		"tab":                    {"services:\n\tweb:\n", 2, "", "invalid YAML"},
		"unclosed":               {"services: {web: {image: nginx}\n", 2, "", "invalid YAML"},
		"unknown anchor":         {web + "    x-a: *nope\n", 4, "", "unknown anchor"},
		"second document":        {web + "---\n" + web, 4, "", "second YAML document"},
		"bad second document":    {web + "---\na: [\n", 6, "", "invalid YAML"},
		"duplicate top":          {web + "services: {}\n", 4, "", "already defined at line 1"},
		"duplicate service":      {web + "  web:\n    image: x\n", 4, "", "already defined at line 2"},
		"duplicate deep":         {web + "    environment:\n      A: 1\n      B: 2\n      \"A\": 3\n", 7, "", "already defined at line 5"},
		"duplicate among many":   {web + "    environment:\n" + manyKeys(40) + "      K7: again\n", 45, "", "already defined at line 12"},
		"bad port in a list":     {"services:\n  db: {image: x}\n  web:\n    image: x\n    ports:\n      - \"80:80\"\n      - \"x:y:z\"\n", 7, "services.web.ports[1]", "invalid IP address: x"},
		"duplicate merge":        {"x-a: &a {restart: always}\nservices:\n  web:\n    <<: *a\n    <<: *a\n    image: x\n", 5, "", "already defined at line 4"},
		"list as key":            {"? [a]\n: b\n", 1, "", "as a key"},
		"NUL":                    {"services:\n  web:\n    image: a\x00b\n", 3, "", "NUL"},
		"control character":      {"services:\n  web:\n    image: \"a\x01b\"\n", 0, "", "control characters"},
		"invalid UTF-8":          {"services:\n  web:\n    image: a\xffb\n", 3, "", "UTF-8"},
		"UTF-16":                 {"\xff\xfes\x00", 1, "", "UTF-8"},
		"self anchor":            {"a: &x [*x]\n", 1, "", "contains itself"},
		"no image":               {"services:\n  web:\n    ports: [\"80:80\"]\n", 2, "services.web", "neither an image nor a build"},
		"unknown field":          {web + "    imagee: x\n", 4, "services.web.imagee", "unknown field"},
		"unknown top field":      {web + "servces: {}\n", 4, "", "servces"},
		"wrong type":             {web + "    ports: 80\n", 4, "services.web.ports", "must be a"},
		"wrong item":             {web + "    ports:\n      - \"80:80\"\n      - [1]\n", 6, "services.web.ports[1]", ""},
		"number version":         {"version: 3\n" + web, 1, "version", "must be a string"},
		"bad port":               {web + "    ports:\n      - \"notaport:80\"\n", 5, "services.web.ports[0]", "notaport"},
		"bad duration":           {web + "    stop_grace_period: soon\n", 0, "", "soon"},
		"bad interpolation":      {web + "    command: echo ${\n", 4, "services.web.command", "write $$"},
		"bad interpolation item": {web + "    command:\n      - echo\n      - ${1}\n", 6, "services.web.command[1]", "write $$"},
		"bad cast":               {web + "    privileged: perhaps\n", 4, "services.web.privileged", "perhaps"},
		"depends_on list":        {web + "    depends_on:\n      - db\n", 5, "services.web.depends_on", `undefined service "db"`},
		"depends_on map":         {web + "    depends_on:\n      db: {condition: service_healthy}\n", 5, "services.web.depends_on", `undefined service "db"`},
		"network":                {web + "    networks:\n      - back\n", 5, "services.web.networks", `undefined network "back"`},
		"volume":                 {web + "    volumes:\n      - \"data:/data\"\n", 5, "services.web.volumes", `undefined volume "data"`},
		"long volume":            {web + "    volumes:\n      - type: volume\n        source: data\n        target: /data\n", 6, "services.web.volumes", `undefined volume "data"`},
		"secret":                 {web + "    secrets: [key]\n", 4, "services.web.secrets", `undefined secret "key"`},
		"build secret":           {"services:\n  web:\n    build:\n      context: .\n      secrets: [key]\n", 5, "services.web.build.secrets", `undefined secret "key"`},
		"config":                 {web + "    configs: [c]\n", 4, "services.web.configs", `undefined config "c"`},
		"link":                   {web + "    links: [\"db:x\"]\n", 4, "services.web.links", `undefined service "db"`},
		"network of a service":   {web + "    network_mode: service:db\n", 4, "services.web.network_mode", `undefined service "db"`},
		"volumes from":           {web + "    volumes_from: [db]\n", 4, "services.web.volumes_from", `undefined service "db"`},
		"extends":                {web + "  two:\n    extends: {service: nope}\n", 0, "", "nope"},
		"extends circle":         {"services:\n  a:\n    extends: b\n  b:\n    extends: a\n", 0, "", "ircular"},
		"depends circle":         {"services:\n  a:\n    image: x\n    depends_on: [b]\n  b:\n    image: x\n    depends_on: [a]\n", 0, "", "cycle"},
		"circle by link":         {web + "    links: [web]\n", 4, "services.web.links", "web -> web"},
		"mode and networks":      {web + "    network_mode: host\n    networks: [default]\n", 4, "services.web", "mutually exclusive"},
		"two external names":     {web + "volumes: {v: {name: a, external: {name: b}}}\n", 4, "volumes.v.external", "conflict"},
		"secret without source":  {web + "secrets: {s: {}}\n", 4, "secrets.s", "must be set"},
		"number as key":          {web + "    environment: {1: x}\n", 4, "services.web.environment", "non-string key"},
		"not a number":           {web + "    x-a: .nan\n", 0, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := check(t, tt.text)
			var ce *appcompose.ComposeError
			if !errors.As(err, &ce) || !errors.Is(err, appcompose.ErrInvalidCompose) {
				t.Fatalf("got %v, want a ComposeError\n%s", err, tt.text)
			}
			if tt.line != 0 && ce.Line != tt.line || tt.field != "" && ce.Field != tt.field || !strings.Contains(ce.Message, tt.message) {
				t.Errorf("got line %d field %q message %q\nwant line %d field %q message with %q\n%s",
					ce.Line, ce.Field, ce.Message, tt.line, tt.field, tt.message, tt.text)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("      K" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + ": x\n")
	}
	return strings.ReplaceAll(b.String(), "K0", "K")
}

func BenchmarkCheckCompose(b *testing.B) {
	text := []byte(smallCompose)
	for b.Loop() {
		if err := appcompose.CheckCompose(b.Context(), text, appcompose.CheckOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
