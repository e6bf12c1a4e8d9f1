package sim

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// What a guest accepts as an environment. Its bound of 1 MiB in all is out of reach of a file this small.
const (
	maxEnvFile  = 256 << 10 // bytes of ciphertext
	maxEnvItems = 1024
	maxEnvKey   = 255       // bytes
	maxEnvValue = 128 << 10 // bytes
)

var envKeyPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// decryptEnv opens the encrypted environment and keeps the names that the document allows. Names that it
// does not allow are skipped; a name or size that no guest takes fails the boot. Values are dropped here
// and never shown.
func (b *boot) decryptEnv(ctx context.Context, ciphertext []byte) error {
	if len(ciphertext) == 0 {
		return nil
	}
	if len(ciphertext) > maxEnvFile {
		return fmt.Errorf("failed to decrypt env: file has %d bytes, want at most %d", len(ciphertext), maxEnvFile)
	}
	if b.node.config.EnvDecrypter == nil {
		b.cvm.console("encrypted env: left alone, this node has no app keys")
		return nil
	}
	env, err := b.node.config.EnvDecrypter.DecryptEnv(ctx, b.appID, ciphertext)
	if err != nil {
		return fmt.Errorf("failed to decrypt env: %w", err)
	}
	if len(env) > maxEnvItems {
		return fmt.Errorf("failed to decrypt env: %d variables, want at most %d", len(env), maxEnvItems)
	}
	names := []string{}
	skipped := 0
	for _, v := range env {
		if !slices.Contains(b.document.AllowedEnvs, v.Key) {
			skipped++
			continue
		}
		switch {
		case len(v.Key) > maxEnvKey || !envKeyPattern.MatchString(v.Key):
			return fmt.Errorf("failed to decrypt env: invalid name %q", v.Key)
		case len(v.Value) > maxEnvValue:
			return fmt.Errorf("failed to decrypt env: value of %s has %d bytes, want at most %d", v.Key, len(v.Value), maxEnvValue)
		}
		names = append(names, v.Key)
	}
	slices.Sort(names)
	b.env = slices.Compact(names) // the last of several values wins, under one name
	b.cvm.console("encrypted env: %d variables, %d not in allowed_envs", len(env), skipped)
	return nil
}
