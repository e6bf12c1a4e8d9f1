package appcompose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestDiff(t *testing.T) {
	const before = "services:\n  web:\n    image: nginx:1\n  db: {image: pg}\n  same: {image: x, command: [a]}\n"
	const after = "services:\n  same:\n    command: [\"a\"] # only spelled otherwise\n    image: x\n  web:\n    image: nginx:2\n  job: {image: j}\n"
	d := parse(t, with(`"allowed_envs":["A","B"],"public_logs":true,"old":1`))
	d, err := d.Edit(appcompose.SetDockerComposeFile(before))
	if err != nil {
		t.Fatal(err)
	}
	n, err := d.Edit(appcompose.SetDockerComposeFile(after), appcompose.SetAllowedEnvs([]string{"B", "C"}),
		appcompose.SetPublicLogs(false), appcompose.SetField("old", nil), appcompose.SetPreLaunchScript("x"))
	if err != nil {
		t.Fatal(err)
	}
	c := appcompose.Diff(d, n)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"old_hash":"` + d.Hash().String() + `","new_hash":"` + n.Hash().String() + `","fields":[` +
		`{"field":"allowed_envs","kind":"changed","old":"[\"A\",\"B\"]","new":"[\"B\",\"C\"]"},` +
		`{"field":"public_logs","kind":"changed","old":"true","new":"false"},` +
		`{"field":"docker_compose_file","kind":"changed"},` +
		`{"field":"pre_launch_script","kind":"added","new":"\"x\""},` +
		`{"field":"old","kind":"removed","old":"1"}],` +
		`"services":[{"service":"db","kind":"removed","old_image":"pg"},{"service":"job","kind":"added","new_image":"j"},` +
		`{"service":"web","kind":"changed","old_image":"nginx:1","new_image":"nginx:2"}],"envs_added":["C"],"envs_removed":["A"]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	text := c.String()
	for _, line := range []string{
		"- service db image pg\n", "+ service job image j\n", "~ service web image nginx:1 -> nginx:2\n", "+ env C\n", "- env A\n",
		"~ public_logs: true -> false\n", "~ docker_compose_file\n", "+ pre_launch_script: \"x\"\n", "- old: 1\n",
		"compose hash " + d.Hash().String() + " -> " + n.Hash().String() + "\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestDiffSpecialCases(t *testing.T) {
	d := parse(t, with(`"x":{"a":1,"b":2}`))
	if c := appcompose.Diff(d, d); !c.Identical() || c.String() != "no changes\n" || len(c.Fields) != 0 {
		t.Errorf("same document: %+v", c)
	}
	respelled := parse(t, with(` "x" : { "b":2, "\u0061":1 }`))
	if c := appcompose.Diff(d, respelled); c.Identical() || !c.FormatOnly || len(c.Fields) != 0 || !strings.Contains(c.String(), "formatting only") {
		t.Errorf("formatting: %+v", c)
	}
	for _, pair := range [][2]string{
		{`[1,2]`, `[1]`}, {`[1]`, `[1,2]`}, {`1`, `1.0`}, {`9007199254740992`, `9007199254740993`}, {`"1"`, `1`}, {`true`, `false`},
		{`{"a":1}`, `{"a":1,"b":1}`}, {`{"a":1,"a":2}`, `{"a":2,"a":1}`}, {`{"__proto__":1}`, `{}`}, {`"\u00e9"`, `"e"`},
	} {
		c := appcompose.Diff(parse(t, with(`"x":`+pair[0])), parse(t, with(`"x":`+pair[1])))
		if c.FormatOnly || len(c.Fields) != 1 || c.Fields[0].Old != pair[0] || c.Fields[0].New != pair[1] {
			t.Errorf("%s and %s: %+v", pair[0], pair[1], c)
		}
	}
	broken := parse(t, with(`"docker_compose_file":"a: ["`))
	for _, c := range []appcompose.Changes{appcompose.Diff(d, broken), appcompose.Diff(broken, d)} {
		if !c.ComposeUnreadable || c.Services != nil || !strings.Contains(c.String(), "not YAML") {
			t.Errorf("broken YAML: %+v", c)
		}
	}
	first := parse(t, with(`"docker_compose_file":"services: {a: {image: x, ports: [1]}}"`))
	second := parse(t, with(`"docker_compose_file":"services: {a: {image: x, ports: [2]}}"`))
	c := appcompose.Diff(first, second)
	if len(c.Services) != 1 || c.Services[0] != (appcompose.ServiceChange{Service: "a", Kind: appcompose.Changed}) {
		t.Errorf("same image: %+v", c.Services)
	}
}
