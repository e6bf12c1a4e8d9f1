package appcompose_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestEditSplices(t *testing.T) {
	const pretty = "{\n    \"runner\": \"docker-compose\",\n    \"docker_compose_file\": \"a\",\n    \"name\": \"n\",\n    \"unknown\": [1.0,  2],\n    \"manifest_version\": 2\n}\n"
	const compact = `{"docker_compose_file":"a","manifest_version":2,"name":"n","runner":"docker-compose"}`
	tests := map[string]struct {
		in    string
		edits []appcompose.Edit
		want  string
	}{
		"replace": {pretty, []appcompose.Edit{appcompose.SetDockerComposeFile("b & \"c\"\n<d>\u2028")},
			strings.Replace(pretty, `"a"`, "\"b & \\\"c\\\"\\n<d>\u2028\"", 1)},
		"same value":          {pretty, []appcompose.Edit{appcompose.SetDockerComposeFile("a"), appcompose.SetName("n")}, pretty},
		"same, other escapes": {strings.Replace(compact, `"a"`, `"\u0061"`, 1), []appcompose.Edit{appcompose.SetDockerComposeFile("a")}, strings.Replace(compact, `"a"`, `"\u0061"`, 1)},
		"append to unsorted": {pretty, []appcompose.Edit{appcompose.SetPreLaunchScript("s")},
			strings.Replace(pretty, "\"manifest_version\": 2", "\"manifest_version\": 2,\n    \"pre_launch_script\": \"s\"", 1)},
		"insert first": {compact, []appcompose.Edit{appcompose.SetAllowedEnvs([]string{"B", "A"})}, `{"allowed_envs":["B","A"],` + compact[1:]},
		"insert between": {compact, []appcompose.Edit{appcompose.SetPreLaunchScript("s"), appcompose.SetPublicLogs(true)},
			`{"docker_compose_file":"a","manifest_version":2,"name":"n","pre_launch_script":"s","public_logs":true,"runner":"docker-compose"}`},
		"insert last":     {compact, []appcompose.Edit{appcompose.SetField("salt", []byte(` 1 `))}, strings.TrimSuffix(compact, "}") + `,"salt":1}`},
		"remove last":     {strings.TrimSuffix(compact, "}") + ` , "salt" : 1 }`, []appcompose.Edit{appcompose.SetField("salt", nil)}, strings.TrimSuffix(compact, "}") + ` }`},
		"remove middle":   {pretty, []appcompose.Edit{appcompose.SetField("unknown", nil)}, strings.Replace(pretty, "\"unknown\": [1.0,  2],\n    ", "", 1)},
		"remove absent":   {compact, []appcompose.Edit{appcompose.SetField("salt", nil), appcompose.SetPreLaunchScript("")}, compact},
		"remove script":   {with(`"pre_launch_script":"x"`), []appcompose.Edit{appcompose.SetPreLaunchScript("")}, minimal},
		"empty script":    {with(`"pre_launch_script":""`), []appcompose.Edit{appcompose.SetPreLaunchScript("")}, with(`"pre_launch_script":""`)},
		"null script":     {with(`"pre_launch_script":null`), []appcompose.Edit{appcompose.SetPreLaunchScript("x")}, with(`"pre_launch_script":"x"`)},
		"envs same set":   {with(`"allowed_envs": [ "A","B" ]`), []appcompose.Edit{appcompose.SetAllowedEnvs([]string{"B", "A"})}, with(`"allowed_envs": [ "A","B" ]`)},
		"envs other":      {with(`"allowed_envs": [ "A","B" ]`), []appcompose.Edit{appcompose.SetAllowedEnvs([]string{"B"})}, with(`"allowed_envs": ["B"]`)},
		"envs none":       {minimal, []appcompose.Edit{appcompose.SetAllowedEnvs(nil)}, minimal},
		"flag by default": {minimal, []appcompose.Edit{appcompose.SetPublicTcbinfo(true), appcompose.SetPublicLogs(false), appcompose.SetPublicSysinfo(false)}, minimal},
		"flag changed":    {with(`"public_tcbinfo": true`), []appcompose.Edit{appcompose.SetPublicTcbinfo(false)}, with(`"public_tcbinfo": false`)},
		"field same":      {with(`"x":{"b":1,"a":1.0}`), []appcompose.Edit{appcompose.SetField("x", []byte(` {"\u0061":1.0,"b":1}`))}, with(`"x":{"b":1,"a":1.0}`)},
		"field digits":    {with(`"x":9007199254740993`), []appcompose.Edit{appcompose.SetField("x", []byte(`9007199254740992`))}, with(`"x":9007199254740992`)},
		"field proto":     {with(`"x":{"__proto__":1}`), []appcompose.Edit{appcompose.SetField("x", []byte(`{"__proto__":2}`))}, with(`"x":{"__proto__":2}`)},
		"no edits":        {pretty, nil, pretty},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := parse(t, tt.in)
			got, err := d.Edit(tt.edits...)
			if err != nil || string(got.Bytes()) != tt.want {
				t.Fatalf("got  %v %s\nwant %s", err, got.Bytes(), tt.want)
			}
			if got.Hash() != appcompose.Hash([]byte(tt.want)) || string(d.Bytes()) != tt.in {
				t.Error("wrong hash, or the original changed")
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	d := parse(t, with(`"pre_launch_script":"12345"`))
	for name, e := range map[string]appcompose.Edit{
		"UTF-8":            appcompose.SetDockerComposeFile("\xff"),
		"NUL":              appcompose.SetDockerComposeFile("a\x00b"),
		"env UTF-8":        appcompose.SetAllowedEnvs([]string{"\xff"}),
		"broken value":     appcompose.SetField("x", []byte(`{"a"`)),
		"two values":       appcompose.SetField("x", []byte(`1,"y":2`)),
		"no value":         appcompose.SetField("x", []byte{}),
		"wrong type":       appcompose.SetField("public_logs", []byte(`1`)),
		"required removed": appcompose.SetField("name", nil),
	} {
		if got, err := d.Edit(appcompose.SetPublicLogs(true), e); !errors.Is(err, appcompose.ErrInvalidDocument) || got != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	exact := strings.Repeat("x", appcompose.MaxComposeSize-5)
	if _, err := d.Edit(appcompose.SetDockerComposeFile(exact)); err != nil {
		t.Errorf("exactly the limit: %v", err)
	}
	_, err := d.Edit(appcompose.SetDockerComposeFile(exact + "x"))
	var size *appcompose.SizeError
	if !errors.As(err, &size) || size.Seen != appcompose.MaxComposeSize+1 || size.Limit != appcompose.MaxComposeSize {
		t.Errorf("got %v, want a SizeError", err)
	}
	if _, err := d.Edit(appcompose.SetDockerComposeFile(exact+"x"), appcompose.SetPreLaunchScript("")); err != nil {
		t.Errorf("only the result counts: %v", err)
	}
}

// drawEdit draws an edit and the field that it may touch.
func drawEdit(t *rapid.T) (appcompose.Edit, string) {
	text := rapid.StringN(0, 12, 40).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	switch rapid.IntRange(0, 6).Draw(t, "edit") {
	case 0:
		return appcompose.SetDockerComposeFile(text.Draw(t, "compose")), "docker_compose_file"
	case 1:
		return appcompose.SetPreLaunchScript(text.Draw(t, "script")), "pre_launch_script"
	case 2:
		return appcompose.SetAllowedEnvs(rapid.SliceOfN(text, 0, 3).Draw(t, "envs")), "allowed_envs"
	case 3:
		return appcompose.SetPublicLogs(rapid.Bool().Draw(t, "on")), "public_logs"
	case 4:
		return appcompose.SetPublicSysinfo(rapid.Bool().Draw(t, "on")), "public_sysinfo"
	case 5:
		return appcompose.SetPublicTcbinfo(rapid.Bool().Draw(t, "on")), "public_tcbinfo"
	default:
		return appcompose.SetName(text.Draw(t, "name")), "name"
	}
}

func TestEditKeepsAllElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := documents().Draw(t, "document")
		e, field := drawEdit(t)
		edited, err := d.Edit(e)
		if err != nil {
			t.Fatal(err)
		}
		without := func(names []string) []string {
			return slices.DeleteFunc(names, func(s string) bool { return s == field })
		}
		if !slices.Equal(without(d.Fields()), without(edited.Fields())) {
			t.Fatalf("fields %v became %v", d.Fields(), edited.Fields())
		}
		for _, name := range without(d.Fields()) {
			was, _ := d.Raw(name)
			is, _ := edited.Raw(name)
			if !bytes.Equal(was, is) {
				t.Fatalf("%s: %s became %s", name, was, is)
			}
		}
		again, err := edited.Edit(e)
		if err != nil || !bytes.Equal(again.Bytes(), edited.Bytes()) {
			t.Fatalf("twice is not once: %s, %v", again.Bytes(), err)
		}
		// A field added and removed again leaves the very bytes.
		added, err := d.Edit(appcompose.SetField("added", []byte("1")))
		if err != nil {
			t.Fatal(err)
		}
		back, err := added.Edit(appcompose.SetField("added", nil))
		if err != nil || !bytes.Equal(back.Bytes(), d.Bytes()) {
			t.Fatalf("%q became %q, then %q, %v", d.Bytes(), added.Bytes(), back.Bytes(), err)
		}
	})
}

func TestEditKeepsCanonicalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, err := appcompose.Canonical(documents().Draw(t, "document").Bytes())
		if err != nil {
			t.Fatal(err)
		}
		d, err := appcompose.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := drawEdit(t)
		edited, err := d.Edit(e)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := appcompose.CanonicalHash(edited.Bytes()); err != nil || h != edited.Hash() {
			t.Fatalf("%s is not canonical, %v", edited.Bytes(), err)
		}
	})
}

func FuzzDocumentEdit(f *testing.F) {
	f.Add([]byte(minimal), "a\n\"b\"", true)
	f.Add([]byte(with(`"docker_compose_file":null,"x":[],"pre_launch_script":"s"`)), "", false)
	f.Add([]byte("\t"+with(`"\u0061llowed_envs" : ["A"], "public_logs":true`)+"\n"), "A", true)
	f.Fuzz(func(t *testing.T, document []byte, text string, on bool) {
		d, err := appcompose.Parse(document)
		if err != nil {
			return
		}
		edits := []appcompose.Edit{
			appcompose.SetDockerComposeFile(text), appcompose.SetPreLaunchScript(text), appcompose.SetAllowedEnvs([]string{text}),
			appcompose.SetPublicLogs(on), appcompose.SetPublicTcbinfo(on), appcompose.SetField("field "+text, []byte("0")),
		}
		edited, err := d.Edit(edits...)
		if err != nil {
			if !errors.Is(err, appcompose.ErrInvalidDocument) && !errors.Is(err, appcompose.ErrTooLarge) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if edited.DockerComposeFile() != text || edited.PreLaunchScript() != text || !slices.Contains(edited.AllowedEnvs(), text) ||
			edited.PublicLogs() != on || edited.PublicTcbinfo() != on {
			t.Fatalf("edits of %q with %q gave %q", document, text, edited.Bytes())
		}
		again, err := edited.Edit(edits...)
		if err != nil || !bytes.Equal(again.Bytes(), edited.Bytes()) {
			t.Fatalf("twice is not once: %q, %v", again.Bytes(), err)
		}
	})
}
