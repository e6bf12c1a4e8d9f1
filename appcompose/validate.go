package appcompose

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A rule checks one field; the value is never null where the field may be.
type rule struct {
	required bool
	nullable bool
	check    func(d *Document, name string, i uint32) error
}

var (
	anyString = kinds("a string", kindString)
	anyBool   = kinds("true or false", kindTrue, kindFalse)
	anyObject = kinds("an object", kindObject)
)

// rules are the fields of dstack's AppCompose type. Fields not listed here are
// the application's own.
var rules = map[string]rule{
	"manifest_version":           {required: true, check: checkManifestVersion},
	"name":                       {required: true, check: anyString},
	"runner":                     {required: true, check: oneOf(RunnerDockerCompose, RunnerNerdctlCompose, RunnerBash)},
	"features":                   {check: stringList},
	"snapshotter":                {nullable: true, check: oneOf("overlayfs", "stargz")},
	"docker_compose_file":        {nullable: true, check: textWithoutNUL},
	"bash_script":                {nullable: true, check: textWithoutNUL},
	"pre_launch_script":          {nullable: true, check: textWithoutNUL},
	"init_script":                {check: checkInitScript},
	"public_logs":                {check: anyBool},
	"public_sysinfo":             {check: anyBool},
	"public_tcbinfo":             {check: anyBool},
	"kms_enabled":                {check: anyBool},
	"gateway_enabled":            {check: anyBool},
	"tproxy_enabled":             {check: anyBool},
	"local_key_provider_enabled": {check: anyBool},
	"key_provider":               {nullable: true, check: oneOf(KeyProviderNone, KeyProviderKMS, KeyProviderLocal, KeyProviderTPM)},
	"key_provider_id":            {check: hexString},
	"allowed_envs":               {check: stringList},
	"no_instance_id":             {check: anyBool},
	"secure_time":                {check: anyBool},
	"storage_fs":                 {nullable: true, check: oneOf(StorageFSZFS, StorageFSExt4)},
	"swap_size":                  {check: kinds("a number of bytes or a size such as \"4G\"", kindNumber, kindString)},
	"event_log_version":          {check: oneToken("1", "2")},
	"port_policy":                {nullable: true, check: anyObject},
	"requirements":               {nullable: true, check: anyObject},
	"verity_volumes":             {check: kinds("an array", kindArray)},
}

// required lists the fields without which no guest boots, in the order in
// which their absence is reported.
var required = []string{"manifest_version", "name", "runner"}

func (d *Document) check() error {
	for _, name := range required {
		if !d.Has(name) {
			return &FieldError{Field: name, Seen: "absent", Expected: "a value"}
		}
	}
	for _, f := range d.fields {
		r, known := rules[f.name]
		if !known {
			continue
		}
		if r.nullable && d.tape.nodes[f.val].kind == kindNull {
			continue
		}
		if err := r.check(d, f.name, f.val); err != nil {
			return err
		}
	}
	return d.checkVersionGates()
}

// checkVersionGates refuses what older guests would misread: these need the
// version "3", written as a string so that a guest that does not know it stops.
func (d *Document) checkVersionGates() error {
	v3 := d.ManifestVersion() >= 3
	seen := string(d.rawValue(d.find("manifest_version")))
	gate := func(why string) error {
		return &FieldError{Field: "manifest_version", Seen: seen, Expected: `"3" because of ` + why}
	}
	nerdctl := d.Runner() == RunnerNerdctlCompose
	switch {
	case v3:
	case nerdctl:
		return gate("runner " + RunnerNerdctlCompose)
	case d.node("requirements") != nil:
		return gate("requirements")
	case len(d.InitScripts()) > 1:
		return gate("several init scripts")
	}
	if d.node("snapshotter") != nil && !nerdctl {
		return &FieldError{Field: "snapshotter", Seen: d.str("snapshotter", ""), Expected: "absent with runner " + d.Runner()}
	}
	return nil
}

// wrong builds the error for the value at tape index i.
func (d *Document) wrong(name string, i uint32, expected string) error {
	n := &d.tape.nodes[i]
	seen := string(d.raw[n.start:n.end])
	if len(seen) > 80 {
		seen = strings.ToValidUTF8(seen[:80], "") + "…"
	}
	return &FieldError{Field: name, Seen: seen, Expected: expected}
}

func kinds(expected string, allowed ...kind) func(*Document, string, uint32) error {
	return func(d *Document, name string, i uint32) error {
		if slices.Contains(allowed, d.tape.nodes[i].kind) {
			return nil
		}
		return d.wrong(name, i, expected)
	}
}

func oneOf(allowed ...string) func(*Document, string, uint32) error {
	return func(d *Document, name string, i uint32) error {
		n := &d.tape.nodes[i]
		if n.kind == kindString && slices.Contains(allowed, string(d.tape.key(n))) {
			return nil
		}
		return d.wrong(name, i, `"`+strings.Join(allowed, `", "`)+`"`)
	}
}

func oneToken(allowed ...string) func(*Document, string, uint32) error {
	return func(d *Document, name string, i uint32) error {
		n := &d.tape.nodes[i]
		if slices.Contains(allowed, string(d.raw[n.start:n.end])) {
			return nil
		}
		return d.wrong(name, i, strings.Join(allowed, " or "))
	}
}

// checkManifestVersion accepts the numbers 1 and 2 and the canonical decimal
// strings "1" to "3"; a guest refuses every other spelling.
func checkManifestVersion(d *Document, name string, i uint32) error {
	n := &d.tape.nodes[i]
	got := string(d.raw[n.start:n.end])
	if n.kind == kindString {
		got = string(d.tape.key(n))
		if got == "1" || got == "2" || got == "3" {
			return nil
		}
	} else if got == "1" || got == "2" {
		return nil
	}
	return d.wrong(name, i, `1, 2, "1", "2" or "3"`)
}

// textWithoutNUL is for texts that become files read by shells and YAML
// readers, which stop at a NUL byte or refuse it.
func textWithoutNUL(d *Document, name string, i uint32) error {
	if err := anyString(d, name, i); err != nil {
		return err
	}
	n := &d.tape.nodes[i]
	if n.escaped && bytes.IndexByte(d.tape.key(n), 0) >= 0 {
		return &FieldError{Field: name, Seen: "a NUL byte", Expected: "text without NUL bytes"}
	}
	return nil
}

func stringList(d *Document, name string, i uint32) error {
	if d.tape.nodes[i].kind != kindArray {
		return d.wrong(name, i, "an array of strings")
	}
	return d.eachString(name, i)
}

func (d *Document) eachString(name string, i uint32) error {
	for c, k := i+1, 0; c < d.tape.nodes[i].next; c, k = d.tape.nodes[c].next, k+1 {
		if d.tape.nodes[c].kind != kindString {
			return d.wrong(fmt.Sprintf("%s[%d]", name, k), c, "a string")
		}
	}
	return nil
}

// maxInitScripts is dstack's limit.
const maxInitScripts = 5

func checkInitScript(d *Document, name string, i uint32) error {
	if d.tape.nodes[i].kind == kindString {
		return textWithoutNUL(d, name, i)
	}
	if err := stringList(d, name, i); err != nil {
		return err
	}
	if n := len(d.InitScripts()); n > maxInitScripts {
		return &FieldError{Field: name, Seen: fmt.Sprintf("%d scripts", n), Expected: fmt.Sprintf("at most %d", maxInitScripts)}
	}
	return nil
}

func hexString(d *Document, name string, i uint32) error {
	if err := anyString(d, name, i); err != nil {
		return err
	}
	text := d.tape.key(&d.tape.nodes[i])
	if len(text)%2 != 0 {
		return d.wrong(name, i, "an even number of hex digits")
	}
	for _, c := range text {
		if hexValue(c) < 0 {
			return d.wrong(name, i, "hex digits")
		}
	}
	return nil
}
