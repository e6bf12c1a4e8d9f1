package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lockstep": main})
}

// TestScripts runs testdata/script: the program as a process of its own, against clouds in this process.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			cache := filepath.Join(env.WorkDir, "cache")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", cache)
			env.Values[cloudKey{}] = &testCloud{cache: cache}
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
		},
	})
}
