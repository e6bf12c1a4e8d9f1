package appcompose

import (
	"encoding/json"
	"strconv"
)

// specFields are the fields that Spec has by name; each reader puts a value of
// the right kind into it. Wrong kinds never get there: see ParseSpec.
var specFields = specReaders()

func specReaders() map[string]func(*Spec, *Document) {
	readers := map[string]func(*Spec, *Document){}
	flag := func(name string, to func(*Spec) **bool) {
		readers[name] = func(s *Spec, d *Document) {
			if n := d.node(name); n != nil {
				on := n.kind == kindTrue
				*to(s) = &on
			}
		}
	}
	text := func(name string, to func(*Spec) *string) {
		readers[name] = func(s *Spec, d *Document) { *to(s) = d.str(name, "") }
	}
	readers["manifest_version"] = func(s *Spec, d *Document) {
		if d.Has("manifest_version") {
			s.ManifestVersion = d.ManifestVersion()
		}
	}
	text("name", func(s *Spec) *string { return &s.Name })
	text("runner", func(s *Spec) *string { return &s.Runner })
	text("docker_compose_file", func(s *Spec) *string { return &s.DockerComposeFile })
	text("bash_script", func(s *Spec) *string { return &s.BashScript })
	text("pre_launch_script", func(s *Spec) *string { return &s.PreLaunchScript })
	text("storage_fs", func(s *Spec) *string { return &s.StorageFS })
	readers["allowed_envs"] = func(s *Spec, d *Document) { s.AllowedEnvs = d.AllowedEnvs() }
	readers["features"] = func(s *Spec, d *Document) {
		if d.Has("features") {
			s.Features = append([]string{}, d.Features()...)
		}
	}
	flag("kms_enabled", func(s *Spec) **bool { return &s.KmsEnabled })
	flag("gateway_enabled", func(s *Spec) **bool { return &s.GatewayEnabled })
	flag("public_logs", func(s *Spec) **bool { return &s.PublicLogs })
	flag("public_sysinfo", func(s *Spec) **bool { return &s.PublicSysinfo })
	flag("public_tcbinfo", func(s *Spec) **bool { return &s.PublicTcbinfo })
	flag("local_key_provider_enabled", func(s *Spec) **bool { return &s.LocalKeyProviderEnabled })
	flag("no_instance_id", func(s *Spec) **bool { return &s.NoInstanceID })
	flag("secure_time", func(s *Spec) **bool { return &s.SecureTime })
	// The former name of gateway_enabled, which wins when both are given.
	readers["tproxy_enabled"] = func(s *Spec, d *Document) {
		if n := d.node("tproxy_enabled"); n != nil && !d.Has("gateway_enabled") {
			on := n.kind == kindTrue
			s.GatewayEnabled = &on
		}
	}
	return readers
}

// ParseSpec reads the partial app-compose object of a request that creates a
// CVM (POST /cvms/provision, compose_file): what is absent is left to the
// defaults of [New], unknown fields go to Extra, tproxy_enabled becomes
// gateway_enabled. An empty or absent name becomes name. Errors are those of
// [Parse].
func ParseSpec(partial []byte, name string) (Spec, error) {
	// Parsed with the required fields put in, so that the same checks apply.
	d, err := parsePartial(partial, name)
	if err != nil {
		return Spec{}, err
	}
	var s Spec
	for _, read := range specFields {
		read(&s, d)
	}
	if s.Name == "" {
		s.Name = name
	}
	for _, f := range d.fields {
		if specFields[f.name] != nil {
			continue
		}
		if s.Extra == nil {
			s.Extra = map[string]json.RawMessage{}
		}
		s.Extra[f.name] = json.RawMessage(string(d.rawValue(&f)))
	}
	return s, nil
}

// parsePartial is Parse with the defaults of the required fields added.
func parsePartial(partial []byte, name string) (*Document, error) {
	if len(partial) > MaxDocumentSize {
		return nil, &SizeError{Field: "app-compose document", Seen: len(partial), Limit: MaxDocumentSize}
	}
	t, err := parseJSON(partial, maxDocumentDepth)
	if err != nil {
		return nil, err
	}
	root := t.nodes[0]
	if root.kind != kindObject {
		return nil, &FieldError{Field: "(document)", Seen: root.kind.String(), Expected: "an object"}
	}
	have := map[string]bool{}
	for i := uint32(1); i < root.next; i = t.nodes[i+1].next {
		have[string(t.key(&t.nodes[i]))] = true
	}
	out := append([]byte{}, partial[:root.end-1]...)
	empty := root.next == 1
	for _, r := range required {
		if have[r] {
			continue
		}
		if !empty {
			out = append(out, ',')
		}
		empty = false
		out = appendQuoted(out, r)
		out = append(out, ':')
		switch r {
		case "manifest_version":
			out = strconv.AppendInt(out, 2, 10)
		case "runner":
			out = appendQuoted(out, RunnerDockerCompose)
		default:
			q, err := quote(r, name)
			if err != nil {
				return nil, err
			}
			out = append(out, q...)
		}
	}
	return parseOwned(append(out, partial[root.end-1:]...))
}
