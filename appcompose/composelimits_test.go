package appcompose_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestCheckComposeSize(t *testing.T) {
	const head = "services: {a: {image: a}}\n#"
	exact := head + strings.Repeat("x", appcompose.MaxComposeSize-len(head))
	if err := check(t, exact); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	for _, tt := range []struct{ text, script string }{{exact + "x", ""}, {exact, "x"}} {
		err := appcompose.CheckCompose(t.Context(), []byte(tt.text), appcompose.CheckOptions{PreLaunchScript: tt.script})
		var size *appcompose.SizeError
		if !errors.As(err, &size) || size.Seen != appcompose.MaxComposeSize+1 || size.Limit != 204800 || !errors.Is(err, appcompose.ErrTooLarge) {
			t.Errorf("got %v, want a SizeError", err)
		}
	}
}

func TestCheckComposeObeysContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := appcompose.CheckCompose(ctx, []byte(smallCompose), appcompose.CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestWarmUp(t *testing.T) {
	if err := appcompose.WarmUp(); err != nil {
		t.Error(err)
	}
}

// bombs are texts within the size limit that ask their reader for far more
// than they are.
func bombs() map[string]string {
	var laughs strings.Builder
	laughs.WriteString("x-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&laughs, "x-%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	long := "x-a: &a " + strings.Repeat("y", 100<<10) + "\nx-b: [" + strings.Repeat("*a, ", 10000) + "]\n"
	var chain, wide, merges strings.Builder
	chain.WriteString("services:\n  s0: {image: a}\n")
	for i := 1; i < 900; i++ {
		fmt.Fprintf(&chain, "  s%d: {extends: s%d}\n", i, i-1)
	}
	wide.WriteString("services:\n  base:\n    image: a\n    environment: [" + strings.Repeat("A=1, ", 5000) + "]\n")
	for i := range 900 {
		fmt.Fprintf(&wide, "  s%d: {extends: base}\n", i)
	}
	merges.WriteString("x-0: &m0 {a: 1}\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&merges, "x-%d: &m%d\n  <<: [*m%d, *m%d]\n", i, i, i-1, i-1)
	}
	var many, ports strings.Builder
	many.WriteString("services:\n")
	ports.WriteString("services:\n")
	for i := range 1001 {
		fmt.Fprintf(&many, "  s%d: {image: a}\n", i)
	}
	for i := range 900 {
		fmt.Fprintf(&ports, "  s%d: {image: a, ports: [\"1-65535:1-65535\"]}\n", i)
	}
	services := "services: {a: {image: a}}\n"
	return map[string]string{
		"billion laughs": laughs.String() + services,
		"long string":    long + services,
		"extends chain":  chain.String(),
		"extends wide":   wide.String(),
		"merge keys":     merges.String() + services,
		"deep flow":      "x-a: " + strings.Repeat("[", 90<<10) + strings.Repeat("]", 90<<10) + "\n" + services,
		"deep block":     deepBlock() + services,
		"deep unclosed":  strings.Repeat("{a: ", 50<<10),
		"many values":    "x-a: [" + strings.Repeat("0,", 80<<10) + "]\n" + services,
		"many services":  many.String(),
		"port ranges":    ports.String(),
		"self by merge":  "x-a: &a\n  <<: *a\n" + services,
		"self by list":   "x-a: &a\n  b: [{c: *a}]\n" + services,
	}
}

func deepBlock() string {
	var b strings.Builder
	for i := range 500 {
		b.WriteString(strings.Repeat(" ", i) + "x-a:\n")
	}
	return b.String()
}

func TestCheckComposeRefusesBombs(t *testing.T) {
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			err := check(t, text)
			var ce *appcompose.ComposeError
			if !errors.As(err, &ce) {
				t.Fatalf("got %v, want a ComposeError", err)
			}
			if len(ce.Error()) > 2000 {
				t.Errorf("the error is %d bytes long", len(ce.Error()))
			}
		})
	}
}

// heavy are texts that are accepted although they are large: how long they
// take is what the limits are for.
func heavy() map[string]string {
	var services, variables, tangle strings.Builder
	tangle.WriteString("services:\n  s0: {image: a}\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&tangle, "  s%d:\n    image: a\n    depends_on:\n", i)
		for k := range i {
			fmt.Fprintf(&tangle, "      - s%d\n", k)
		}
	}
	services.WriteString("services:\n")
	for i := range 150 {
		fmt.Fprintf(&services, "  s%d:\n    image: nginx\n    ports: [\"%d:80\"]\n    environment: {A: 1, B: 2, C: 3}\n    depends_on: [s%d]\n    volumes: [\"/a:/b\"]\n", i, 1000+i, max(0, i-1))
	}
	variables.WriteString("services:\n  a:\n    image: a\n    command:\n")
	nested := strings.Repeat("${A:-", 20) + strings.Repeat("}", 20)
	for range 300 {
		variables.WriteString("      - \"" + nested + "\"\n")
	}
	return map[string]string{
		"services":  strings.Replace(services.String(), "depends_on: [s0]", "restart: always", 1),
		"variables": variables.String(),
		"tangle":    tangle.String(), // 2^39 ways through the dependencies
		"ports":     "services: {a: {image: a, ports: [\"10000-11000:10000-11000/udp\"]}}\n",
		"values":    "services: {a: {image: a}}\nx-a: [" + strings.Repeat("0,", 10000) + "]\n",
	}
}

func TestCheckComposeAcceptsLargeFiles(t *testing.T) {
	for name, text := range heavy() {
		t.Run(name, func(t *testing.T) {
			if err := check(t, text); err != nil {
				t.Errorf("%d bytes: %v", len(text), err)
			}
		})
	}
}

func BenchmarkCheckComposeLarge(b *testing.B) {
	for name, text := range heavy() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := check(b, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, text := range bombs() {
		b.Run("bomb "+name, func(b *testing.B) {
			for b.Loop() {
				if err := check(b, text); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func FuzzCheckCompose(f *testing.F) {
	f.Add([]byte(smallCompose))
	f.Add([]byte("x-a: &a {restart: always}\nservices:\n  web:\n    <<: [*a]\n    build: {context: ., secrets: [s]}\nsecrets: {s: {file: ./s}}\n"))
	f.Add([]byte("services:\n  a: {image: \"${I:-x}\", extends: {file: f, service: b}, env_file: [e]}\n  b: {extends: a, profiles: [p], networks: {n: {aliases: [z]}}}\nnetworks: {n: }\ninclude: [x]\n"))
	f.Add([]byte("services: {a: {image: a, deploy: {replicas: \"${N}\", resources: {limits: {cpus: 0.5, memory: 1g}}}, healthcheck: {test: [CMD, x], interval: 1s}}}\nversion: \"3\"\n"))
	f.Add([]byte("services: {a: {image: a, ports: [80, \"1-3:4-6/udp\", {target: 1}], volumes: [\"a:/b\", {type: bind, source: ., target: /x}], configs: [c], ulimits: {nofile: 1}}}\nvolumes: {a: }\nconfigs: {c: {content: x}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := appcompose.CheckCompose(t.Context(), text, appcompose.CheckOptions{})
		if err == nil {
			if !utf8.Valid(text) || len(strings.TrimSpace(string(text))) == 0 {
				t.Fatalf("accepted %q", text)
			}
			return
		}
		var ce *appcompose.ComposeError
		if !errors.As(err, &ce) {
			if !errors.Is(err, appcompose.ErrTooLarge) {
				t.Fatalf("untyped error %T %v", err, err)
			}
			return
		}
		if lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + strings.Count(string(text), "\u2028") +
			strings.Count(string(text), "\u2029") + strings.Count(string(text), "\u0085") + 2; ce.Line < 0 || ce.Line > lines || ce.Message == "" {
			t.Fatalf("line %d of %d, message %q for %q", ce.Line, lines, ce.Message, text)
		}
		if !utf8.ValidString(ce.Error()) || strings.ContainsRune(ce.Message, '\n') {
			t.Fatalf("message %q for %q", ce.Message, text)
		}
	})
}
