package docker

import (
	"testing"

	apicontainer "github.com/moby/moby/api/types/container"
)

func TestMemory(t *testing.T) {
	for name, test := range map[string]struct {
		stats apicontainer.MemoryStats
		want  uint64
	}{
		"cgroups 1 count the cache of children too": {apicontainer.MemoryStats{Usage: 100, Stats: map[string]uint64{"total_inactive_file": 30, "inactive_file": 20}}, 70},
		"cgroups 2":                       {apicontainer.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 20}}, 80},
		"the figures are of two moments":  {apicontainer.MemoryStats{Usage: 100, Stats: map[string]uint64{"inactive_file": 200}}, 100},
		"the engine says no more":         {apicontainer.MemoryStats{Usage: 100}, 100},
		"a container that has just ended": {apicontainer.MemoryStats{}, 0},
	} {
		if got := memory(test.stats); got != test.want {
			t.Errorf("%s: %d bytes, want %d", name, got, test.want)
		}
	}
}
