package app

import "context"

// RereadNodes takes up at once what is in the database, as a server does every few seconds.
func (s *Server) RereadNodes(ctx context.Context) error { return s.hosts.reread(ctx) }

// LookAtNodes looks at the machines that it is time to look at, and returns when they have been.
func (s *Server) LookAtNodes(ctx context.Context) {
	for _, node := range s.hosts.catalog.Nodes() {
		s.hosts.lookAt(ctx, node)
	}
}
