package docker

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

func TestReservedVariables(t *testing.T) {
	for name, want := range map[string]bool{
		"DOCKER_HOST": true, "DOCKER_CONFIG": true, "COMPOSE_FILE": true, "LD_PRELOAD": true, "PATH": true, "HOME": true,
		"COMPOSE_PROFILES": false, "DOCKER_TAG": false, "DSTACK_DOCKER_USERNAME": false, "TOKEN": false, "path": false,
	} {
		if got := reserved(name); got != want {
			t.Errorf("reserved(%q) is %v, want %v", name, got, want)
		}
	}
}

func TestEnvironmentIsTheAllowedOne(t *testing.T) {
	t.Setenv("LOCKSTEP_API_KEY", "of the server")
	a := &app{env: []kms.EnvVar{{Key: "TOKEN", Value: "a\nb $c"}, {Key: "PATH", Value: "/evil"}, {Key: "DOCKER_HOST", Value: "tcp://evil"}}}
	env := a.environment()
	if !slices.Contains(env, "TOKEN=a\nb $c") {
		t.Errorf("the environment lacks an allowed variable: %q", env)
	}
	for _, entry := range env {
		if strings.Contains(entry, "evil") || strings.HasPrefix(entry, "LOCKSTEP_") {
			t.Errorf("the environment has %q", entry)
		}
	}
}

func TestRegistryLogin(t *testing.T) {
	vars := func(pairs ...string) (env []kms.EnvVar) {
		for i := 0; i < len(pairs); i += 2 {
			env = append(env, kms.EnvVar{Key: pairs[i], Value: pairs[i+1]})
		}
		return env
	}
	for name, test := range map[string]struct {
		env      []kms.EnvVar
		registry string // none when empty
		failure  string
	}{
		"none":         {vars("TOKEN", "x"), "", ""},
		"Docker Hub":   {vars(registryUser, "me", registryPassword, "pa:ss"), dockerHub, ""},
		"by its name":  {vars(registryUser, "me", registryPassword, "pa:ss", registryHost, "docker.io"), dockerHub, ""},
		"another":      {vars(registryUser, "me", registryPassword, "pa:ss", registryHost, "registry.test"), "registry.test", ""},
		"no password":  {vars(registryUser, "me"), "", "go together"},
		"no user name": {vars(registryPassword, "pa:ss"), "", "go together"},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := dockerConfig(test.env)
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) || strings.Contains(err.Error(), "pa:ss") {
					t.Errorf("error %v, want one with %q and no secret", err, test.failure)
				}
				return
			}
			var config struct {
				Auths map[string]struct{ Auth string }
			}
			if err := json.Unmarshal(text, &config); err != nil {
				t.Fatal(err)
			}
			if test.registry == "" {
				if len(config.Auths) != 0 {
					t.Errorf("configuration %s, want no login", text)
				}
				return
			}
			login, err := base64.StdEncoding.DecodeString(config.Auths[test.registry].Auth)
			if err != nil || string(login) != "me:pa:ss" || len(config.Auths) != 1 {
				t.Errorf("login of %s is %q, %v", test.registry, login, err)
			}
		})
	}
}

func TestServiceOrder(t *testing.T) {
	for text, want := range map[string][]string{
		"services: {web: {image: a}, db: {image: b}}": {"web", "db"},
		"services:\n  z: {}\n  a: {}\n":               {"z", "a"},
		"services: [a]":                               nil,
		"":                                            nil,
		":":                                           nil,
		"services: &s {a: *s}":                        {"a"},
	} {
		if got := serviceOrder(text); !slices.Equal(got, want) {
			t.Errorf("services of %q: %q, want %q", text, got, want)
		}
	}
}

func TestLiteralServices(t *testing.T) {
	for text, want := range map[string]bool{
		"services: {web: {image: a}}":                                      true,
		"x: &a {image: b}\nservices: {web: {<<: *a, pull_policy: always}}": true,
		"services: {web: {image: \"a:${TAG}\"}}":                           false,
		"services: {web: {build: .}}":                                      false,
		"services: {web: {image: a, extends: {service: b}}}":               false,
		"include: [b.yml]\nservices: {web: {image: a}}":                    false,
		"services: [web]":                                                  false,
		"":                                                                 false,
	} {
		services, got := literalServices(text)
		if got != want || want && services["web"].Image == "" {
			t.Errorf("literalServices(%q) is %v, %v, want %v", text, services, got, want)
		}
	}
}

// FuzzServiceOrder: whatever an owner writes, showing its services never takes the server down.
func FuzzServiceOrder(f *testing.F) {
	f.Add("services:\n  web: {image: a}\n")
	f.Add("x: &a {image: b}\nservices: {a: *a, <<: *a, ? [k] : v}")
	f.Fuzz(func(_ *testing.T, text string) {
		serviceOrder(text)
		literalServices(text)
	})
}

func TestTail(t *testing.T) {
	var console []string
	said := &tail{console: func(_ string, args ...any) { console = append(console, args[0].(string)) }}
	for _, part := range []string{"one\ntw", "o\n\n  \n", "three"} {
		if n, err := said.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("Write gave %d, %v", n, err)
		}
	}
	said.flush()
	if got := said.String(); got != "one\ntwo\nthree" || strings.Join(console, "\n") != got {
		t.Errorf("kept %q, console %q", got, console)
	}
	for range 2 * tailLines {
		_, _ = said.Write([]byte("more\n"))
	}
	if got := strings.Count(said.String(), "\n") + 1; got != tailLines {
		t.Errorf("kept %d lines, want %d", got, tailLines)
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	deny := kms.AuthorizerFunc(nil)
	for name, test := range map[string]struct {
		config Config
		want   string
	}{
		"no folder":        {Config{Authorizer: deny}, "dir is empty"},
		"no KMS":           {Config{Dir: "x"}, "needs an Authorizer"},
		"host":             {Config{Dir: "x", Authorizer: deny, Host: "localhost"}, `host is "localhost", want unix:///PATH`},
		"scheme":           {Config{Dir: "x", Authorizer: deny, Host: "http://engine"}, `host is "http://engine"`},
		"pre-launch":       {Config{Dir: "x", Authorizer: deny, PreLaunch: "maybe"}, `pre_launch is "maybe", want "host"`},
		"certificates":     {Config{Dir: "x", Authorizer: deny, Host: "ssh://engine", CertDir: "y"}, "cert_dir is for a host of tcp://"},
		"no such cert dir": {Config{Dir: "x", Authorizer: deny, Host: "tcp://engine:2376", CertDir: "no-such-folder"}, "cert_dir: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v, want %q", err, test.want)
			}
		})
	}
	for host, want := range map[string]PreLaunch{"": PreLaunchHost, "tcp://engine:2375": PreLaunchRefuse, "ssh://engine": PreLaunchRefuse} {
		c, err := Config{Dir: "x", Authorizer: kms.AuthorizerFunc(nil), Host: host}.withDefaults()
		if err != nil || c.PreLaunch != want {
			t.Errorf("pre-launch scripts with host %q: %q, %v, want %q", host, c.PreLaunch, err, want)
		}
	}
}
