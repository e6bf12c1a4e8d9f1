// Package guest is what the inside of a CVM does before its app runs, for the drivers that have no dstack guest
// to do it: read the app-compose document, take on an identity, ask the KMS, open the environment.
package guest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
)

// Document is what a guest reads of its app-compose document. Names are matched exactly, as the
// guest's own parser does, and what it does not know is ignored.
type Document struct {
	Runner        string
	ComposeText   string
	BashScript    string
	PreLaunch     string // script; empty when there is none
	HasInitScript bool
	NoInstanceID  bool
	Gateway       bool
	AllowedEnvs   []string
}

// maxManifestVersion is the newest document format a guest boots.
const maxManifestVersion = 3

// ParseDocument reads a document. The error is in the guest's words and names the field.
func ParseDocument(document []byte) (Document, error) {
	// encoding/json matches struct fields in any case; a map does not.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(document, &fields); err != nil {
		return Document{}, fmt.Errorf("failed to parse app-compose.json: %w", err)
	}
	var d Document
	var gateway, tproxy bool
	for name, target := range map[string]any{
		"runner":              &d.Runner,
		"docker_compose_file": &d.ComposeText,
		"bash_script":         &d.BashScript,
		"pre_launch_script":   &d.PreLaunch,
		"no_instance_id":      &d.NoInstanceID,
		"gateway_enabled":     &gateway,
		"tproxy_enabled":      &tproxy,
		"allowed_envs":        &d.AllowedEnvs,
	} {
		if value, ok := fields[name]; ok {
			if err := json.Unmarshal(value, target); err != nil {
				return d, fmt.Errorf("failed to parse app-compose.json: field %s: %w", name, err)
			}
		}
	}
	if err := checkManifestVersion(fields["manifest_version"]); err != nil {
		return d, err
	}
	d.Gateway = gateway || tproxy
	d.HasInitScript = hasInitScript(fields["init_script"])
	return d, nil
}

var manifestVersion = regexp.MustCompile(`^(?:[12]|"[1-9][0-9]*")$`)

// checkManifestVersion takes the numbers 1 and 2 and the string form of any version up to the newest.
func checkManifestVersion(value json.RawMessage) error {
	if !manifestVersion.Match(value) {
		return fmt.Errorf("failed to parse app-compose.json: manifest_version is %s, want 1, 2 or a string up to %q",
			orAbsent(value), strconv.Itoa(maxManifestVersion))
	}
	text := string(value)
	if value[0] == '"' {
		text = text[1 : len(text)-1]
	}
	if n, err := strconv.Atoi(text); err != nil || n > maxManifestVersion {
		return fmt.Errorf("unsupported manifest_version %s: this image knows up to %d", text, maxManifestVersion)
	}
	return nil
}

func orAbsent(value json.RawMessage) string {
	if value == nil {
		return "absent"
	}
	return string(value)
}

// hasInitScript says whether init_script, a string or a list of strings, holds anything.
func hasInitScript(value json.RawMessage) bool {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return one != ""
	}
	var many []string
	return json.Unmarshal(value, &many) == nil && len(many) > 0
}
