package guest

import (
	"strings"
	"testing"
)

// FuzzDocument: whatever the bytes are that a CVM is given, reading them ends in a document that can be run or in an
// error in the guest's words, and never takes the host down.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"manifest_version":2,"runner":"docker-compose","init_script":["a"],"pre_launch_script":"b","docker_compose_file":"services: {a: {image: b}}"}`))
	f.Add([]byte(`{"manifest_version":"3","runner":"bash","bash_script":"true","allowed_envs":null}`))
	f.Add([]byte(`{"manifest_version":03}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if _, err := ParseDocument(document); err != nil && !strings.Contains(err.Error(), "app-compose.json") && !strings.Contains(err.Error(), "manifest_version") {
			t.Errorf("error %v says not what it is about", err)
		}
	})
}
