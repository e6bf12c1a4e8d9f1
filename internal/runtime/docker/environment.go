package docker

import (
	"os"
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// What the environment of an app is built on. The server's own variables, which hold secrets, stay out of it.
var inherited = []string{"PATH", "HOME", "SSH_AUTH_SOCK", "TMPDIR"}

// reserved says whether a variable would steer Docker or the linker instead of the app: it could make the child
// process talk to another engine, or read files of this machine.
func reserved(name string) bool {
	switch name {
	case "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY",
		"DOCKER_CERT_PATH", "DOCKER_API_VERSION", "DOCKER_CUSTOM_HEADERS":
		return true
	case "COMPOSE_PROFILES": // chooses among what the document has
		return false
	}
	return slices.Contains(inherited, name) || strings.HasPrefix(name, "COMPOSE_") || strings.HasPrefix(name, "LD_")
}

// environment is what the pre-launch script and the compose text see: the allowed variables, and what programs
// need.
func (a *app) environment() []string {
	env := base()
	for _, v := range a.env {
		if !reserved(v.Key) {
			env = append(env, v.Key+"="+v.Value)
		}
	}
	return env
}

func base() []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// unreserved is what a script may have made of the environment, without what is not its to choose.
func unreserved(env []string) []string {
	return slices.DeleteFunc(env, func(entry string) bool {
		name, _, ok := strings.Cut(entry, "=")
		return !ok || reserved(name)
	})
}

func value(env []kms.EnvVar, name string) string {
	for _, v := range env {
		if v.Key == name {
			return v.Value
		}
	}
	return ""
}
