package vmmrpc_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

func TestFormatElapsed(t *testing.T) {
	for seconds, want := range map[int64]string{
		-5: "0s", 0: "0s", 1: "1s", 59: "59s", 60: "1m", 3600: "1h", 3723: "1h 2m 3s", 86_400: "1day", 2*86_400 + 5: "2days 5s",
		2_630_016: "1month", 2 * 2_630_016: "2months", 31_557_600: "1year", 2*31_557_600 + 60: "2years 1m",
	} {
		if got := vmmrpc.FormatElapsed(time.Duration(seconds)*time.Second + 999*time.Millisecond*time.Duration(min(max(seconds, 0), 1))); got != want {
			t.Errorf("%d s: %q, want %q", seconds, got, want)
		}
	}
}

func TestElapsedRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 200*31_557_600*int64(time.Second)).Draw(r, "elapsed"))
		got, known, err := vmmrpc.ParseElapsed(vmmrpc.FormatElapsed(d))
		if err != nil || !known || got != d.Truncate(time.Second) {
			r.Fatalf("%s became %s, %t, %v", d, got, known, err)
		}
	})
}

func TestParseElapsed(t *testing.T) {
	for text, want := range map[string]time.Duration{"1h 2m": time.Hour + 2*time.Minute, "3s 20ms 5us 1ns": 3 * time.Second} {
		if got, known, err := vmmrpc.ParseElapsed(text); err != nil || !known || got != want {
			t.Errorf("%q: %s, %t, %v", text, got, known, err)
		}
	}
	for _, text := range []string{"", "never"} {
		if got, known, err := vmmrpc.ParseElapsed(text); err != nil || known || got != 0 {
			t.Errorf("%q: %s, %t, %v; want none", text, got, known, err)
		}
	}
	for _, text := range []string{"soon", "1", "h", "1 h", "-1s", "1fortnight", "99999999999999999999s", "999999years", strings.Repeat("250years ", 5)} {
		if got, known, err := vmmrpc.ParseElapsed(text); err == nil {
			t.Errorf("%q: %s, %t; want an error", text, got, known)
		}
	}
}

func FuzzParseElapsed(f *testing.F) {
	for _, text := range []string{"1h 2m 3s", "never", "1day", "9223372036854775807s", "1month 1months"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, known, err := vmmrpc.ParseElapsed(text)
		if got < 0 || err != nil && (known || got != 0) {
			t.Errorf("%q: %s, %t, %v", text, got, known, err)
		}
	})
}

// TestNames holds the names on the wire against those of the proto files.
func TestNames(t *testing.T) {
	for want, message := range map[string]any{
		"name image compose_file vcpu memory disk_size ports encrypted_env app_id user_config hugepages pin_numa gpus kms_urls gateway_urls stopped no_tee networks": vmmrpc.VMConfiguration{},
		"protocol host_port vm_port host_address": vmmrpc.Port{},
		"id compose_file encrypted_env user_config update_ports ports update_kms_urls kms_urls update_gateway_urls gateway_urls gpus vcpu memory disk_size image no_tee update_networking networks": vmmrpc.UpdateVMRequest{},
		"id vcpu memory disk_size image":   vmmrpc.ResizeVMRequest{},
		"ids brief keyword page page_size": vmmrpc.StatusRequest{},
		"vms port_mapping_enabled total":   vmmrpc.StatusResponse{},
		"id name status uptime app_url app_id instance_id configuration exited_at boot_progress boot_error shutdown_progress image_version events": vmmrpc.VMInfo{},
		"event body timestamp": vmmrpc.GuestEvent{},
		"found info":           vmmrpc.GetInfoResponse{},
		"public_key signature timestamp signature_v1":                  vmmrpc.PublicKeyResponse{},
		"kms gateway resources networking":                             vmmrpc.GetMetaResponse{},
		"url base_domain port agent_port urls":                         vmmrpc.GatewaySettings{},
		"max_cvm_number max_allocable_vcpu max_allocable_memory_in_mb": vmmrpc.ResourcesSettings{},
		"slot product_id description is_free":                          vmmrpc.GPUInfo{},
		"version app_id instance_id app_cert tcb_info device_id":       vmmrpc.GuestInfo{},
		"id names image image_id created state status":                 vmmrpc.Container{},
		"imr event_type digest event event_payload":                    vmmrpc.EventEntry{},
		"dns_servers gateways interfaces wg_info":                      vmmrpc.NetworkInformation{},
		"name addresses rx_bytes tx_bytes rx_errors tx_errors":         vmmrpc.Interface{},
		"name description version is_dev":                              vmmrpc.ImageInfo{},
	} {
		var got []string
		kind := reflect.TypeOf(message)
		for i := range kind.NumField() {
			got = append(got, kind.Field(i).Tag.Get("json"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", kind, strings.Join(got, " "), want)
		}
	}
	text, err := json.Marshal(vmmrpc.VMInfo{})
	if err != nil || !strings.Contains(string(text), `"app_url":null`) {
		t.Errorf("an optional field that is not set: %s, %v", text, err)
	}
}
