package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// AppFilter picks apps by their CVMs: an app is picked when one of its CVMs fits all of it. Zero values
// pick every app. Statuses are those that the server keeps; nodes are not asked.
type AppFilter struct {
	Search       string   // part of the name of app or CVM, in any case, or of an app id, vm_uuid or instance id
	Statuses     []string // any of them
	Listed       *bool
	BaseImage    string
	InstanceType string
	KMSSlug      string
	KMSType      string
	Node         string
	Region       string
}

// Apps returns one page of the workspace's apps that have CVMs, newest first, and how many there are. Pages
// count from 1.
func (s *Service) Apps(ctx context.Context, p Principal, filter AppFilter, page, size int) ([]*App, int, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, 0, err
	}
	rows, err := s.store.Read().ListCVMsOfApps(ctx, p.Workspace.ID)
	if err != nil {
		return nil, 0, fmt.Errorf("list apps: %w", err)
	}
	var picked []string
	for _, row := range rows {
		if len(picked) > 0 && picked[len(picked)-1] == row.AppID {
			continue // the CVMs of an app follow each other
		}
		if s.fits(filter, row) {
			picked = append(picked, row.AppID)
		}
	}
	total := len(picked)
	picked = picked[min(total, (page-1)*size):]
	picked = picked[:min(len(picked), size)]
	apps := make([]*App, 0, len(picked))
	for _, id := range picked {
		app, err := s.App(ctx, p, id)
		if err != nil {
			return nil, 0, err
		}
		apps = append(apps, app)
	}
	return apps, total, nil
}

func (s *Service) fits(f AppFilter, row store.CVMOfApp) bool {
	same := func(want, is string) bool { return want == "" || strings.EqualFold(want, is) }
	if !same(f.BaseImage, row.Image) || !same(f.InstanceType, row.InstanceType) || f.Listed != nil && *f.Listed != row.Listed {
		return false
	}
	if len(f.Statuses) > 0 && !slices.ContainsFunc(f.Statuses, func(status string) bool { return strings.EqualFold(status, row.Status) }) {
		return false
	}
	if f.Node != "" || f.Region != "" {
		node, err := s.catalog.node(row.NodeID)
		if err != nil || !same(f.Node, node.Name) || !same(f.Region, node.Region) {
			return false
		}
	}
	if f.KMSSlug != "" || f.KMSType != "" {
		service, err := s.catalog.kmsOf(row.KMSID)
		if err != nil || !same(f.KMSSlug, service.Slug) || !same(f.KMSType, string(service.Type)) {
			return false
		}
	}
	return f.Search == "" || found(f.Search, row)
}

func found(search string, row store.CVMOfApp) bool {
	search = strings.ToLower(strings.TrimSpace(search))
	if strings.Contains(row.AppID, strings.TrimPrefix(strings.TrimPrefix(search, "app_"), "0x")) {
		return true
	}
	return slices.ContainsFunc([]string{row.AppName, row.Name, row.VMUUID, row.InstanceID}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), search)
	})
}
