package api

import (
	"encoding/json"
	"testing"
)

func TestShutdownTimeoutTellsAbsentFromNull(t *testing.T) {
	force := true
	for text, want := range map[string]ShutdownOptions{
		`{}`:                        {},
		`{"shutdown_timeout":null}`: {ShutdownTimeout: ShutdownTimeout{Given: true, None: true}},
		`{"shutdown_timeout":30}`:   {ShutdownTimeout: ShutdownTimeout{Given: true, Seconds: 30}},
		`{"shutdown_timeout":0}`:    {ShutdownTimeout: ShutdownTimeout{Given: true}},
		`{"allow_force_stop":true}`: {AllowForceStop: &force},
	} {
		var got ShutdownOptions
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.ShutdownTimeout != want.ShutdownTimeout || (got.AllowForceStop == nil) != (want.AllowForceStop == nil) {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		back, err := json.Marshal(want)
		if err != nil || string(back) != text {
			t.Errorf("%+v is written as %s, %v, want %s", want, back, err, text)
		}
	}
	var restart RestartRequest
	if err := json.Unmarshal([]byte(`{"force":true,"shutdown_timeout":"x"}`), &restart); err == nil {
		t.Error("a text was taken as a timeout")
	}
	if b, err := json.Marshal(RestartRequest{}); err != nil || string(b) != `{"force":false}` {
		t.Errorf("%s, %v", b, err)
	}
}
