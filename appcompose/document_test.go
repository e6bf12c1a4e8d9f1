package appcompose_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

const minimal = `{"manifest_version":2,"name":"app","runner":"docker-compose"}`

func parse(tb testing.TB, text string) *appcompose.Document {
	tb.Helper()
	d, err := appcompose.Parse([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return d
}

// with returns the minimal document with more members.
func with(members string) string {
	return strings.TrimSuffix(minimal, "}") + "," + members + "}"
}

func TestParseKeepsTheBytes(t *testing.T) {
	raw := []byte(" {\"runner\" : \"docker-compose\",\n\t\"unknown\":[1.0,\"\\u0041\"], \"name\":\"\", \"manifest_version\":\"3\" }\n")
	given := bytes.Clone(raw)
	d, err := appcompose.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	given[1] = 'x'
	d.Bytes()[1] = 'x'
	if !bytes.Equal(d.Bytes(), raw) || d.Hash() != appcompose.Hash(raw) || d.Len() != len(raw) {
		t.Errorf("got %q", d.Bytes())
	}
	if got := d.Fields(); !slices.Equal(got, []string{"runner", "unknown", "name", "manifest_version"}) {
		t.Errorf("fields %v", got)
	}
	if v, ok := d.Raw("unknown"); !ok || string(v) != `[1.0,"\u0041"]` {
		t.Errorf("raw %s %v", v, ok)
	}
	if _, ok := d.Raw("absent"); ok || d.Has("absent") {
		t.Error("absent field found")
	}
}

func TestGetters(t *testing.T) {
	d := parse(t, minimal)
	if d.Name() != "app" || d.Runner() != "docker-compose" || d.ManifestVersion() != 2 || d.DockerComposeFile() != "" ||
		d.PreLaunchScript() != "" || d.BashScript() != "" || d.AllowedEnvs() != nil || d.Features() != nil || d.InitScripts() != nil ||
		d.PublicLogs() || d.PublicSysinfo() || !d.PublicTcbinfo() || d.GatewayEnabled() || d.KmsEnabled() ||
		d.KeyProvider() != "none" || d.KeyProviderID() != "" || d.StorageFS() != "zfs" || !d.SecureTime() || d.NoInstanceID() {
		t.Errorf("wrong default in %+v", d)
	}
	d = parse(t, with(`"docker_compose_file":"a\n\u00e9","bash_script":"b","pre_launch_script":"c","init_script":"i","allowed_envs":["A","B"],
		"features":["x"],"public_logs":true,"public_sysinfo":true,"public_tcbinfo":false,"gateway_enabled":true,"key_provider":"tpm",
		"kms_enabled":true,"key_provider_id":"ab","storage_fs":"ext4","secure_time":false,"no_instance_id":true`))
	if d.DockerComposeFile() != "a\né" || d.BashScript() != "b" || d.PreLaunchScript() != "c" || !slices.Equal(d.InitScripts(), []string{"i"}) ||
		!slices.Equal(d.AllowedEnvs(), []string{"A", "B"}) || !slices.Equal(d.Features(), []string{"x"}) || !d.PublicLogs() || !d.PublicSysinfo() ||
		d.PublicTcbinfo() || !d.GatewayEnabled() || d.KmsEnabled() || d.KeyProvider() != "tpm" || d.KeyProviderID() != "ab" ||
		d.StorageFS() != "ext4" || d.SecureTime() || !d.NoInstanceID() {
		t.Errorf("wrong value in %+v", d)
	}
	for members, provider := range map[string]string{
		`"kms_enabled":true,"local_key_provider_enabled":true`: "kms",
		`"local_key_provider_enabled":true`:                    "local",
		`"key_provider":null,"kms_enabled":true`:               "kms",
		`"key_provider":"none","kms_enabled":true`:             "none",
	} {
		if got := parse(t, with(members)).KeyProvider(); got != provider {
			t.Errorf("%s: got %s, want %s", members, got, provider)
		}
	}
	for _, members := range []string{`"tproxy_enabled":true`, `"gateway_enabled":false,"tproxy_enabled":true`, `"features":["kms","tproxy-net"]`} {
		if !parse(t, with(members)).GatewayEnabled() {
			t.Errorf("%s: want the gateway enabled", members)
		}
	}
	if v := parse(t, strings.Replace(minimal, "2", `"\u0031"`, 1)).ManifestVersion(); v != 1 {
		t.Errorf("manifest version %d, want 1", v)
	}
}

func TestParseAccepts(t *testing.T) {
	for _, text := range []string{
		minimal,
		strings.Replace(minimal, "2", "1", 1),
		strings.Replace(minimal, "2", `"1"`, 1),
		strings.Replace(minimal, "2", `"2"`, 1),
		strings.Replace(minimal, "2", `"3"`, 1),
		with(`"docker_compose_file":null,"pre_launch_script":null,"key_provider":null,"storage_fs":null`),
		with(`"swap_size":"4G","event_log_version":2,"port_policy":{},"verity_volumes":[]`),
		with(`"docker_config":{"a":[1]},"salt":null,"constructor":1,"__proto__":2`),
		`{"manifest_version":"3","name":"n","runner":"nerdctl-compose","snapshotter":"stargz","requirements":{},"init_script":["a","b"]}`,
		`{"manifest_version":1,"name":"n","runner":"bash","bash_script":"x"}`,
		with(`"x":` + strings.Repeat("[", 127) + strings.Repeat("]", 127)),
	} {
		if _, err := appcompose.Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	version := func(v string) string { return strings.Replace(minimal, "2", v, 1) }
	tests := map[string]struct{ text, field string }{
		"no version":         {`{"name":"a","runner":"bash"}`, "manifest_version"},
		"no name":            {`{"manifest_version":1,"runner":"bash"}`, "name"},
		"no runner":          {`{"manifest_version":1,"name":"a"}`, "runner"},
		"array":              {`[]`, "(document)"},
		"null":               {`null`, "(document)"},
		"twice":              {with(`"name":"again"`), "name"},
		"twice, escaped":     {with(`"n\u0061me":"again"`), "name"},
		"unknown twice":      {with(`"x":1,"x":1`), "x"},
		"version number 3":   {version("3"), "manifest_version"},
		"version 0":          {version("0"), "manifest_version"},
		"version 2.0":        {version("2.0"), "manifest_version"},
		"version string 03":  {version(`"03"`), "manifest_version"},
		"version string +3":  {version(`"+3"`), "manifest_version"},
		"version string 4":   {version(`"4"`), "manifest_version"},
		"version null":       {version("null"), "manifest_version"},
		"runner unknown":     {`{"manifest_version":1,"name":"a","runner":"podman"}`, "runner"},
		"name a number":      {`{"manifest_version":1,"name":1,"runner":"bash"}`, "name"},
		"compose a number":   {with(`"docker_compose_file":1`), "docker_compose_file"},
		"compose with NUL":   {with(`"docker_compose_file":"a\u0000b"`), "docker_compose_file"},
		"script with NUL":    {with(`"pre_launch_script":"\u0000"`), "pre_launch_script"},
		"flag a string":      {with(`"public_logs":"true"`), "public_logs"},
		"flag null":          {with(`"kms_enabled":null`), "kms_enabled"},
		"envs a string":      {with(`"allowed_envs":"A"`), "allowed_envs"},
		"env a number":       {with(`"allowed_envs":["A",1]`), "allowed_envs[1]"},
		"storage":            {with(`"storage_fs":"btrfs"`), "storage_fs"},
		"key provider":       {with(`"key_provider":"aws"`), "key_provider"},
		"provider id":        {with(`"key_provider_id":"xyz1"`), "key_provider_id"},
		"provider id odd":    {with(`"key_provider_id":"abc"`), "key_provider_id"},
		"requirements early": {with(`"requirements":{}`), "manifest_version"},
		"init scripts early": {with(`"init_script":["a","b"]`), "manifest_version"},
		"nerdctl early":      {`{"manifest_version":2,"name":"a","runner":"nerdctl-compose"}`, "manifest_version"},
		"many init scripts":  {`{"manifest_version":"3","name":"a","runner":"bash","init_script":["","","","","",""]}`, "init_script"},
		"snapshotter":        {with(`"snapshotter":"stargz"`), "snapshotter"},
		"event log version":  {with(`"event_log_version":3`), "event_log_version"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := appcompose.Parse([]byte(tt.text))
			var fe *appcompose.FieldError
			if !errors.As(err, &fe) || fe.Field != tt.field || !errors.Is(err, appcompose.ErrInvalidDocument) {
				t.Errorf("got %v, want a FieldError for %s", err, tt.field)
			}
		})
	}
	for name, text := range map[string]string{
		"not JSON":        "services: {}",
		"invalid UTF-8":   with("\"x\":\"\xff\""),
		"half surrogate":  with(`"x":{"y":["\ud800"]}`),
		"half in a key":   with(`"\udc00":1`),
		"deeper than 128": with(`"x":` + strings.Repeat("[", 128) + strings.Repeat("]", 128)),
	} {
		var se *appcompose.SyntaxError
		if _, err := appcompose.Parse([]byte(text)); !errors.As(err, &se) || !errors.Is(err, appcompose.ErrInvalidDocument) {
			t.Errorf("%s: got %v, want a SyntaxError", name, err)
		}
	}
	_, err := appcompose.Parse(bytes.Repeat([]byte(" "), appcompose.MaxDocumentSize+1))
	var size *appcompose.SizeError
	if !errors.As(err, &size) || size.Seen != appcompose.MaxDocumentSize+1 || size.Limit != appcompose.MaxDocumentSize || !errors.Is(err, appcompose.ErrTooLarge) {
		t.Errorf("got %v, want a SizeError", err)
	}
}

func TestNewFillsDefaults(t *testing.T) {
	d, err := appcompose.New(appcompose.Spec{Name: "app", DockerComposeFile: "services: {}\n"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"allowed_envs":[],"docker_compose_file":"services: {}\n","features":["kms","tproxy-net"],"gateway_enabled":true,` +
		`"kms_enabled":true,"local_key_provider_enabled":false,"manifest_version":2,"name":"app","no_instance_id":false,` +
		`"public_logs":true,"public_sysinfo":true,"public_tcbinfo":true,"runner":"docker-compose","secure_time":false,"storage_fs":"zfs"}`
	if string(d.Bytes()) != want {
		t.Errorf("got  %s\nwant %s", d.Bytes(), want)
	}
	if h, err := appcompose.CanonicalHash(d.Bytes()); err != nil || h != d.Hash() {
		t.Errorf("canonical hash %s, %v, want %s", h, err, d.Hash())
	}
}

func TestNewRefuses(t *testing.T) {
	for name, spec := range map[string]appcompose.Spec{
		"version":      {Name: "a", ManifestVersion: 4},
		"runner":       {Name: "a", Runner: "podman"},
		"bash":         {Name: "a", Runner: "bash"},
		"storage":      {Name: "a", StorageFS: "btrfs"},
		"NUL":          {Name: "a", DockerComposeFile: "a\x00"},
		"UTF-8":        {Name: "a\xff"},
		"env UTF-8":    {Name: "a", AllowedEnvs: []string{"\xff"}},
		"known extra":  {Name: "a", Extra: map[string]json.RawMessage{"name": json.RawMessage(`"b"`)}},
		"broken extra": {Name: "a", Extra: map[string]json.RawMessage{"x": json.RawMessage(`{`)}},
		"empty extra":  {Name: "a", Extra: map[string]json.RawMessage{"x": nil}},
		"proto":        {Name: "a", Extra: map[string]json.RawMessage{"__proto__": json.RawMessage(`1`)}},
		"extra name":   {Name: "a", Extra: map[string]json.RawMessage{"\xff": json.RawMessage(`1`)}},
		"extra type":   {Name: "a", Extra: map[string]json.RawMessage{"event_log_version": json.RawMessage(`7`)}},
	} {
		if _, err := appcompose.New(spec); !errors.Is(err, appcompose.ErrInvalidDocument) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := appcompose.New(appcompose.Spec{Name: "a", DockerComposeFile: strings.Repeat("x", appcompose.MaxComposeSize), PreLaunchScript: "y"})
	var size *appcompose.SizeError
	if !errors.As(err, &size) || size.Seen != appcompose.MaxComposeSize+1 {
		t.Errorf("got %v, want a SizeError", err)
	}
}

func TestParseSpec(t *testing.T) {
	spec, err := appcompose.ParseSpec([]byte(`{"name":"","docker_compose_file":"x","pre_launch_script":"","public_logs":false,"tproxy_enabled":false,"salt":"s","kms_enabled":true}`), "cvm-name")
	if err != nil {
		t.Fatal(err)
	}
	d, err := appcompose.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name() != "cvm-name" || d.PublicLogs() || !d.PublicSysinfo() || d.Has("pre_launch_script") || d.Has("tproxy_enabled") {
		t.Errorf("got %s", d.Bytes())
	}
	if v, _ := d.Raw("gateway_enabled"); string(v) != "false" {
		t.Errorf("gateway_enabled %s, want false", v)
	}
	if v, _ := d.Raw("salt"); string(v) != `"s"` {
		t.Errorf("salt %s, want \"s\"", v)
	}
	if spec, err = appcompose.ParseSpec([]byte(` {} `), "n"); err != nil || spec.Name != "n" {
		t.Errorf("got %+v, %v", spec, err)
	}
	for _, text := range []string{``, `[]`, `{"name":1}`, `{"runner":"x"}`, `{"a":1,"a":2}`, `{"public_logs":null}`} {
		if _, err := appcompose.ParseSpec([]byte(text), "n"); !errors.Is(err, appcompose.ErrInvalidDocument) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// documents draws valid documents in scrambled spelling.
func documents() *rapid.Generator[*appcompose.Document] {
	return rapid.Custom(func(t *rapid.T) *appcompose.Document {
		text := rapid.StringN(0, 12, 40).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
		quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
		members := []string{`"manifest_version":"3"`, `"name":` + quoted(text.Draw(t, "name")), `"runner":"docker-compose"`}
		maybe := func(member string) {
			if rapid.Bool().Draw(t, "has") {
				members = append(members, member)
			}
		}
		maybe(`"docker_compose_file":` + quoted(text.Draw(t, "compose")))
		maybe(`"pre_launch_script":` + quoted(text.Draw(t, "script")))
		envs, _ := json.Marshal(rapid.SliceOfN(text, 0, 3).Draw(t, "envs"))
		maybe(`"allowed_envs": ` + string(envs))
		maybe(`"public_logs":true`)
		maybe(`"public_sysinfo" :false`)
		maybe(`"public_tcbinfo":true`)
		maybe(`"zz_unknown":` + jsonValue(2).Filter(func(s string) bool { return !strings.Contains(s, `\ud`) }).Draw(t, "unknown"))
		maybe(`"10":1`)
		members = rapid.Permutation(members).Draw(t, "order")
		space := rapid.SampledFrom([]string{"", " ", "\n  "}).Draw(t, "space")
		d, err := appcompose.Parse([]byte("{" + space + strings.Join(members, space+","+space) + space + "}" + space))
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestNewParsesBack(t *testing.T) {
	text := rapid.StringN(0, 20, 60).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	rapid.Check(t, func(t *rapid.T) {
		spec := appcompose.Spec{
			Name: text.Draw(t, "name"), DockerComposeFile: text.Draw(t, "compose"), PreLaunchScript: text.Draw(t, "script"),
			AllowedEnvs: rapid.SliceOfN(text, 0, 4).Draw(t, "envs"), ManifestVersion: rapid.IntRange(0, 3).Draw(t, "version"),
			Extra: map[string]json.RawMessage{"x" + text.Draw(t, "key"): json.RawMessage(`{"b":1,"a":2.0}`)},
		}
		d, err := appcompose.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		back, err := appcompose.Parse(d.Bytes())
		if err != nil || back.Hash() != d.Hash() || back.Name() != spec.Name || back.DockerComposeFile() != spec.DockerComposeFile ||
			back.PreLaunchScript() != spec.PreLaunchScript || !slices.Equal(back.AllowedEnvs(), spec.AllowedEnvs) {
			t.Fatalf("%+v became %s, %v", spec, d.Bytes(), err)
		}
		if h, err := appcompose.CanonicalHash(d.Bytes()); err != nil || h != d.Hash() {
			t.Fatalf("canonical hash %s, %v, want %s", h, err, d.Hash())
		}
		again, err := appcompose.ParseSpec(d.Bytes(), "other")
		if err != nil {
			t.Fatal(err)
		}
		if again.Name == "other" {
			again.Name = spec.Name
		}
		if d2, err := appcompose.New(again); err != nil || d2.Hash() != d.Hash() {
			t.Fatalf("spec read back gives %s, %v", d2.Bytes(), err)
		}
	})
}

func FuzzDocumentParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(with(`"docker_compose_file":"a\u0000","allowed_envs":["A",1],"key_provider":"kms","init_script":["a","b"]`)))
	f.Add([]byte(with(`"requirements":{"a":[{"\ud83d\ude00":1e5}]},"name":"\ud800"`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := appcompose.Parse(text)
		if err != nil {
			if !errors.Is(err, appcompose.ErrInvalidDocument) {
				t.Fatalf("untyped error %v", err)
			}
		} else {
			if !bytes.Equal(d.Bytes(), text) || d.Hash() != appcompose.Hash(text) {
				t.Fatal("the bytes changed")
			}
			var std map[string]json.RawMessage
			if err := json.Unmarshal(text, &std); err != nil || len(std) != len(d.Fields()) {
				t.Fatalf("encoding/json sees %d fields, %v, Parse %d", len(std), err, len(d.Fields()))
			}
			for name, raw := range std {
				if got, ok := d.Raw(name); !ok || !bytes.Equal(got, raw) {
					t.Fatalf("field %q is %q, encoding/json says %q", name, got, raw)
				}
			}
		}
		spec, err := appcompose.ParseSpec(text, "name")
		if err != nil {
			return
		}
		if d, err := appcompose.New(spec); err == nil {
			if h, err := appcompose.CanonicalHash(d.Bytes()); err != nil || h != d.Hash() {
				t.Fatalf("not canonical: %s, %v", d.Bytes(), err)
			}
		}
	})
}
