package kms

import (
	"context"
	"errors"
	"testing"
)

type allower struct {
	allowed bool
	reason  string
	err     error
	asked   BootInfo
}

func (a *allower) IsAppAllowed(_ context.Context, info BootInfo) (bool, string, error) {
	a.asked = info
	return a.allowed, a.reason, a.err
}

var errNode = errors.New("node is down")

func TestOnChainAuthorizer(t *testing.T) {
	info := BootInfo{AppID: [20]byte{1}, ComposeHash: [32]byte{2}, TCBStatus: "UpToDate"}
	for name, test := range map[string]struct {
		contract allower
		want     Decision
		err      error
	}{
		"allowed":            {allower{allowed: true}, Decision{Allowed: true}, nil},
		"allowed with words": {allower{allowed: true, reason: "ok"}, Decision{Allowed: true}, nil},
		"denied":             {allower{reason: "Device not allowed"}, Decision{Reason: "Device not allowed"}, nil},
		"denied in silence":  {allower{}, Decision{Reason: "denied by the app contract"}, nil},
		"no answer":          {allower{allowed: true, err: errNode}, Decision{}, errNode},
	} {
		got, err := OnChainAuthorizer{Contract: &test.contract}.AuthorizeBoot(t.Context(), info)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, test.want, test.err)
		}
		if test.contract.asked.ComposeHash != info.ComposeHash || test.contract.asked.AppID != info.AppID {
			t.Errorf("%s: the contract was asked about %+v", name, test.contract.asked)
		}
	}
}

func TestAllowlistAuthorizer(t *testing.T) {
	list := AllowlistAuthorizer{Allowed: func(_ context.Context, app [20]byte, hash [32]byte) (bool, error) {
		if app == [20]byte{9} {
			return true, errNode
		}
		return app == [20]byte{1} && hash == [32]byte{2}, nil
	}}
	for name, test := range map[string]struct {
		info BootInfo
		want Decision
		err  error
	}{
		"listed":        {BootInfo{AppID: [20]byte{1}, ComposeHash: [32]byte{2}}, Decision{Allowed: true}, nil},
		"other hash":    {BootInfo{AppID: [20]byte{1}, ComposeHash: [32]byte{3}}, Decision{Reason: "Compose hash not allowed"}, nil},
		"other app":     {BootInfo{AppID: [20]byte{2}, ComposeHash: [32]byte{2}}, Decision{Reason: "Compose hash not allowed"}, nil},
		"store is down": {BootInfo{AppID: [20]byte{9}, ComposeHash: [32]byte{2}}, Decision{}, errNode},
	} {
		got, err := list.AuthorizeBoot(t.Context(), test.info)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, test.want, test.err)
		}
	}
}
