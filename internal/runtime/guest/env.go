package guest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// What a guest accepts as an environment. Its bound of 1 MiB in all is out of reach of a file this small.
const (
	maxEnvFile  = 256 << 10 // bytes of ciphertext
	maxEnvItems = 1024
	maxEnvKey   = 255       // bytes
	maxEnvValue = 128 << 10 // bytes
)

var envKeyPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Env is an environment that was opened. Its values are secrets.
type Env struct {
	Vars    []kms.EnvVar // those that the document allows, by name, each name once
	Total   int          // variables that there were
	Skipped int          // of them not in allowed_envs
}

// OpenEnv opens an encrypted environment and keeps the names that the document allows. Names that it does not
// allow are skipped; a name or size that no guest takes is an error, in the guest's words and without a value.
func OpenEnv(ctx context.Context, opener kms.EnvDecrypter, appID [20]byte, ciphertext []byte, allowed []string) (Env, error) {
	if len(ciphertext) > maxEnvFile {
		return Env{}, fmt.Errorf("failed to decrypt env: file has %d bytes, want at most %d", len(ciphertext), maxEnvFile)
	}
	vars, err := opener.DecryptEnv(ctx, appID, ciphertext)
	if err != nil {
		return Env{}, fmt.Errorf("failed to decrypt env: %w", err)
	}
	if len(vars) > maxEnvItems {
		return Env{}, fmt.Errorf("failed to decrypt env: %d variables, want at most %d", len(vars), maxEnvItems)
	}
	env := Env{Total: len(vars)}
	last := map[string]string{} // the last of several values wins, under one name
	for _, v := range vars {
		if !slices.Contains(allowed, v.Key) {
			env.Skipped++
			continue
		}
		switch {
		case len(v.Key) > maxEnvKey || !envKeyPattern.MatchString(v.Key):
			return Env{}, fmt.Errorf("failed to decrypt env: invalid name %q", v.Key)
		case len(v.Value) > maxEnvValue:
			return Env{}, fmt.Errorf("failed to decrypt env: value of %s has %d bytes, want at most %d", v.Key, len(v.Value), maxEnvValue)
		}
		last[v.Key] = v.Value
	}
	for key, value := range last {
		env.Vars = append(env.Vars, kms.EnvVar{Key: key, Value: value})
	}
	slices.SortFunc(env.Vars, func(a, b kms.EnvVar) int { return strings.Compare(a.Key, b.Key) })
	return env, nil
}
