package control

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// Capacity is what a node has for CVMs.
type Capacity struct {
	CVMs     int64
	VCPU     int64
	MemoryMB int64
}

// InstanceType is a named size of a CVM.
type InstanceType struct {
	ID       string
	VCPU     int64
	MemoryMB int64
	DiskGB   int64 // when the request names none
}

// instanceTypes are those of the hosted API that need no GPU.
var instanceTypes = []InstanceType{
	{"tdx.small", 1, 2048, 20},
	{"tdx.medium", 2, 4096, 40},
	{"tdx.large", 4, 8192, 80},
	{"tdx.xlarge", 8, 16384, 160},
	{"tdx.2xlarge", 16, 32768, 320},
	{"tdx.4xlarge", 32, 65536, 640},
}

// customType is the name of a size that a request gave in numbers.
const customType = "custom"

// Free is what a node has left, whether or not it takes CVMs now.
func (s *Service) Free(ctx context.Context, node *Node) (Capacity, error) {
	used, err := s.store.Read().NodeUsage(ctx, node.ID)
	if err != nil {
		return Capacity{}, fmt.Errorf("usage of node %s: %w", node.Name, err)
	}
	limit := node.Limit()
	return Capacity{
		CVMs:     max(0, limit.CVMs-used.Cvms),
		VCPU:     max(0, limit.VCPU-used.VCPU),
		MemoryMB: max(0, limit.MemoryMB-used.MemoryMB),
	}, nil
}

// size is what a request asks for, from its instance type or its numbers.
func size(request api.ProvisionRequest) (InstanceType, error) {
	chosen := instanceTypes[0]
	if request.InstanceType != nil && *request.InstanceType != "" {
		found := false
		for _, t := range instanceTypes {
			if t.ID == *request.InstanceType {
				chosen, found = t, true
			}
		}
		if !found {
			return chosen, problem.New(problem.KindInvalid, api.CodeInstanceTypeNotFound, "unknown instance type").
				With("instance_type", *request.InstanceType, "one of tdx.small … tdx.4xlarge")
		}
	}
	for _, given := range []struct {
		field string
		value *int
		into  *int64
		most  int64
	}{
		{"vcpu", request.VCPU, &chosen.VCPU, 256},
		{"memory", request.MemoryMB, &chosen.MemoryMB, 4 << 20},
		{"disk_size", request.DiskGB, &chosen.DiskGB, 1 << 16},
	} {
		if given.value == nil {
			continue
		}
		n := int64(*given.value)
		if n < 1 || n > given.most {
			return chosen, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad size").
				With(given.field, n, fmt.Sprintf("1 to %d", given.most))
		}
		if n != *given.into && given.field != "disk_size" {
			chosen.ID = customType
		}
		*given.into = n
	}
	return chosen, nil
}

// place chooses the node for a new CVM: the one that was asked for, or the one with the most memory
// left among those that fit.
func (s *Service) place(ctx context.Context, request api.ProvisionRequest, need InstanceType) (*Node, error) {
	wanted := request.TeepodID
	if wanted == nil {
		wanted = request.NodeID
	}
	var best *Node
	var most int64 = -1
	var refusal error = problem.New(problem.KindInvalid, api.CodeResourceNotAvailable, "no node fits the request")
	for _, node := range s.catalog.Nodes() {
		if wanted != nil && node.ID != *wanted {
			continue
		}
		if request.Region != nil && *request.Region != "" && node.Region != *request.Region {
			continue
		}
		if err := node.Accepts(); err != nil {
			refusal = err
			continue
		}
		free, err := s.Free(ctx, node)
		if err != nil {
			return nil, err
		}
		if err := fits(node, free, need); err != nil {
			refusal = err
			continue
		}
		if free.MemoryMB > most {
			best, most = node, free.MemoryMB
		}
	}
	if best != nil {
		return best, nil
	}
	if wanted != nil {
		if node, err := s.catalog.node(*wanted); err != nil || node.Removed {
			return nil, problem.New(problem.KindNotFound, api.CodeNodeNotFound, "node not found").With("teepod_id", *wanted, "")
		}
	}
	return nil, refusal
}

func fits(node *Node, free Capacity, need InstanceType) error {
	short := func(code api.ErrorCode, field string, want, have int64) error {
		return problem.New(problem.KindInvalid, code, "node %s has no room", node.Name).With(field, want, fmt.Sprintf("at most %d", have))
	}
	switch {
	case free.CVMs < 1:
		return short(api.CodeInsufficientSlots, "cvms", 1, free.CVMs)
	case free.VCPU < need.VCPU:
		return short(api.CodeInsufficientVCPU, "vcpu", need.VCPU, free.VCPU)
	case free.MemoryMB < need.MemoryMB:
		return short(api.CodeInsufficientMemory, "memory", need.MemoryMB, free.MemoryMB)
	}
	return nil
}

// image chooses the OS image: the named one, or the node's first that is a development image or not as
// the request prefers.
func image(node *Node, request api.ProvisionRequest) (Image, error) {
	if request.Image != nil && *request.Image != "" {
		for _, i := range node.Images {
			if i.Name == *request.Image {
				return i, nil
			}
		}
		return Image{}, problem.New(problem.KindInvalid, api.CodeImageNotFound, "node %s has no such OS image", node.Name).
			With("image", *request.Image, "")
	}
	dev := request.PreferDev != nil && *request.PreferDev
	for _, i := range node.Images {
		if i.Dev == dev {
			return i, nil
		}
	}
	return node.Images[0], nil
}
