package appcompose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Spec says what a new document shall hold. The zero value of each field means
// the default that a control plane fills in (Phala Cloud's, which differ from
// what a guest assumes for absent fields). Only Name, and for the runner bash
// BashScript, have none.
type Spec struct {
	Name string
	// ManifestVersion is 1, 2 or 3; default 2. 3 is written as a string.
	ManifestVersion int
	// Runner is docker-compose (default), nerdctl-compose or bash.
	Runner string
	// DockerComposeFile is left out with the runner bash, which does not read it.
	DockerComposeFile string
	// BashScript is required with the runner bash, else left out when empty.
	BashScript string
	// PreLaunchScript is left out when empty.
	PreLaunchScript string
	// AllowedEnvs are the names of encrypted variables; default [].
	AllowedEnvs []string
	// Features defaults to ["kms","tproxy-net"] when nil.
	Features []string

	KmsEnabled              *bool // default true
	GatewayEnabled          *bool // default true
	PublicLogs              *bool // default true
	PublicSysinfo           *bool // default true
	PublicTcbinfo           *bool // default true
	LocalKeyProviderEnabled *bool // default false
	NoInstanceID            *bool // default false
	SecureTime              *bool // default false

	// StorageFS is zfs (default) or ext4.
	StorageFS string
	// Extra holds any further top-level fields, known to dstack or not. Like the
	// rest they are written in the form of Canonical, numbers included.
	Extra map[string]json.RawMessage
}

// New builds a document from spec in the form of [Canonical], so that its
// compose hash is also what tools compute that re-encode it.
// Errors are those of [Parse] and [CheckComposeSize].
func New(spec Spec) (*Document, error) {
	if err := CheckComposeSize(spec.DockerComposeFile, spec.PreLaunchScript); err != nil {
		return nil, err
	}
	w := specWriter{out: []byte{'{'}}
	switch spec.ManifestVersion {
	case 0:
		w.raw("manifest_version", []byte("2"))
	case 1, 2:
		w.raw("manifest_version", strconv.AppendInt(nil, int64(spec.ManifestVersion), 10))
	default:
		w.text("manifest_version", strconv.Itoa(spec.ManifestVersion))
	}
	w.text("name", spec.Name)
	runner := orDefault(spec.Runner, RunnerDockerCompose)
	w.text("runner", runner)
	if runner == RunnerBash {
		if spec.BashScript == "" {
			return nil, &FieldError{Field: "bash_script", Seen: "absent", Expected: "a script for the runner bash"}
		}
	} else {
		w.text("docker_compose_file", spec.DockerComposeFile)
	}
	if spec.BashScript != "" {
		w.text("bash_script", spec.BashScript)
	}
	if spec.PreLaunchScript != "" {
		w.text("pre_launch_script", spec.PreLaunchScript)
	}
	w.list("allowed_envs", spec.AllowedEnvs)
	features := spec.Features
	if features == nil {
		features = []string{"kms", "tproxy-net"}
	}
	w.list("features", features)
	w.flag("kms_enabled", spec.KmsEnabled, true)
	w.flag("gateway_enabled", spec.GatewayEnabled, true)
	w.flag("public_logs", spec.PublicLogs, true)
	w.flag("public_sysinfo", spec.PublicSysinfo, true)
	w.flag("public_tcbinfo", spec.PublicTcbinfo, true)
	w.flag("local_key_provider_enabled", spec.LocalKeyProviderEnabled, false)
	w.flag("no_instance_id", spec.NoInstanceID, false)
	w.flag("secure_time", spec.SecureTime, false)
	w.text("storage_fs", orDefault(spec.StorageFS, StorageFSZFS))
	w.extra(spec.Extra)
	return w.document()
}

func orDefault(s, absent string) string {
	if s == "" {
		return absent
	}
	return s
}

// specWriter writes members in any order; document sorts them.
type specWriter struct {
	out []byte
	err error
}

func (w *specWriter) raw(name string, value []byte) {
	if len(w.out) > 1 {
		w.out = append(w.out, ',')
	}
	w.out = appendQuoted(w.out, name)
	w.out = append(w.out, ':')
	w.out = append(w.out, value...)
}

func (w *specWriter) value(name string, value []byte, err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
	if err == nil {
		w.raw(name, value)
	}
}

func (w *specWriter) text(name, text string) {
	value, err := quote(name, text)
	w.value(name, value, err)
}

func (w *specWriter) list(name string, items []string) {
	value, err := quoteList(name, items)
	w.value(name, value, err)
}

func (w *specWriter) flag(name string, on *bool, absent bool) {
	if on == nil {
		on = &absent
	}
	w.raw(name, strconv.AppendBool(nil, *on))
}

// extra writes the fields in sorted order, so that of several mistakes always
// the same one is reported.
func (w *specWriter) extra(fields map[string]json.RawMessage) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := []byte(fields[name])
		if specFields[name] != nil {
			w.value(name, nil, &FieldError{Field: clip(name, 80), Seen: "a value in Extra", Expected: "its own field of Spec"})
			continue
		}
		if name == "__proto__" || name == "constructor" {
			// JavaScript tools drop the one and stop sorting at the other.
			w.value(name, nil, &FieldError{Field: name, Seen: "a value", Expected: "a name other than JavaScript's own"})
			continue
		}
		if _, err := parseJSON(value, maxDocumentDepth); err != nil {
			w.value(name, nil, fmt.Errorf("field %s: %w", clip(name, 80), err))
			continue
		}
		if _, err := quote("(field name)", name); err != nil {
			w.value(name, nil, err)
			continue
		}
		w.raw(name, value)
	}
}

func (w *specWriter) document() (*Document, error) {
	if w.err != nil {
		return nil, w.err
	}
	canonical, err := Canonical(append(w.out, '}'))
	if err != nil {
		return nil, err
	}
	if len(canonical) > MaxDocumentSize {
		return nil, &SizeError{Field: "app-compose document", Seen: len(canonical), Limit: MaxDocumentSize}
	}
	return parseOwned(canonical)
}
