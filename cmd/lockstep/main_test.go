package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(storetest.Runner(m), map[string]func(){"lockstep": main})
}

// TestScripts runs testdata/script: the program as a process of its own, against clouds in this process.
func TestScripts(t *testing.T) {
	params := scripts(func() string { return "" })
	params.Dir = filepath.Join("testdata", "script")
	testscript.Run(t, params)
}

// TestScriptsOnPostgres runs those scripts again that change what CVMs run.
func TestScriptsOnPostgres(t *testing.T) {
	storetest.Postgres(t) // or else say that nothing is tested
	params := scripts(func() string { return storetest.Postgres(t) })
	for _, name := range []string{"update", "update_resume", "rollout"} {
		params.Files = append(params.Files, filepath.Join("testdata", "script", name+".txtar"))
	}
	testscript.Run(t, params)
}

// scripts are the commands of the scripts, with a database for each.
func scripts(databaseURL func() string) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			cache := filepath.Join(env.WorkDir, "cache")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Values[cloudKey{}] = &testCloud{cache: cache, databaseURL: databaseURL()}
			return os.MkdirAll(cache, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"cloud":      onCloud((*testCloud).start),
			"keystore":   onCloud((*testCloud).keystore),
			"remember":   onCloud((*testCloud).remember),
			"hold":       onCloud((*testCloud).hold),
			"await-hold": onCloud((*testCloud).awaitHold),
			"release":    onCloud((*testCloud).release),
			"disallow":   onCloud((*testCloud).disallow),
			"owner-sent": onCloud((*testCloud).ownerSent),
			"replicas":   onCloud((*testCloud).replicas),
			"hash-of":    onCloud((*testCloud).hashOf),
			"app-of":     onCloud((*testCloud).appOf),
		},
	}
}
