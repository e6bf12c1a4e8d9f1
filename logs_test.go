package lockstep

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

func TestLogQuery(t *testing.T) {
	at := time.Unix(1_700_000_000, 1)
	for _, tt := range []struct {
		options LogOptions
		want    string
	}{
		{LogOptions{}, ""},
		{LogOptions{Tail: 5, Follow: true, Timestamps: true, Color: true}, "ansi&follow&lines=5&tail=5&timestamps"},
		{LogOptions{Since: at, Until: at}, "since=1700000000&until=1700000001"}, // never less than asked for
	} {
		if got := tt.options.query(); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.options, got, tt.want)
		}
	}
}

func TestLogEndpoint(t *testing.T) {
	address := "https://example.org/log?token=t"
	found := &api.Composition{Containers: []api.Container{
		{ID: "aa11", Names: []string{"/dstack-db-1"}},
		{ID: "bb22", Names: []string{"/dstack-web-1"}, LogEndpoint: &address},
	}}
	for _, name := range []string{"", "dstack-web-1", "/dstack-web-1", "bb"} {
		if got, err := logEndpoint(found, name); err != nil || got != address {
			t.Errorf("%q: got %s, %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"dstack-db-1": "public_logs", "cache": "dstack-db-1, dstack-web-1"} {
		var wrong *FieldError
		if _, err := logEndpoint(found, name); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want a FieldError with %s", name, err, want)
		}
	}
}
