// Package app wires the parts of Lockstep into a running server, from its configuration.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/jobs"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/internal/server"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Options are what a server takes besides its configuration. Zero values are the defaults.
type Options struct {
	Logger   *slog.Logger
	Timeouts control.Timeouts
	Pace     sim.Config           // how simulated nodes behave: StageDelay and Faults are taken over
	Traces   trace.TracerProvider // where spans go; default: where the OTEL_* variables say, or nowhere
	Lease    time.Duration        // how long other servers of the database wait for this one; default as in package jobs
}

// Server is a control plane that serves its API.
type Server struct {
	Control *control.Service

	config   Config
	log      *slog.Logger
	db       *store.Store
	unlock   func() error // gives the database to another server
	metrics  *metrics
	traces   *tracing
	platform *platform
	hosts    *hosts
	queue    *jobs.Queue
	follow   context.CancelFunc // ends what follows the changes of other servers
	followed chan struct{}
	edge     *server.Server
	http     *http.Server
	listener net.Listener
	served   chan error
}

// Open builds a server: database, key management services, nodes, jobs, HTTP. It listens and works when
// Open returns; Close ends it.
func Open(ctx context.Context, config Config, options Options) (_ *Server, err error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, log: options.Logger, served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	if options.Traces != nil {
		s.traces = &tracing{TracerProvider: options.Traces}
	} else if s.traces, err = openTracing(ctx, s.log); err != nil {
		return nil, err
	}
	if s.traces != nil {
		s.log = slog.New(withTraces{s.log.Handler()})
	}
	// The Compose schema takes tens of milliseconds to compile; no request shall wait for that.
	warm := make(chan error, 1)
	go func() { warm <- appcompose.WarmUp() }()

	if s.db, err = store.Open(ctx, config.DatabaseURL); err != nil {
		return nil, err
	}
	if s.unlock, err = s.db.Lock(); err != nil {
		return nil, err
	}
	builder := newBuilder(config, s.db, s.log, options.Pace)
	s.platform = &builder.platform
	if err = builder.build(ctx); err != nil {
		return nil, err
	}
	if s.queue, err = jobs.New(jobs.Config{Store: s.db, Lease: options.Lease, Logger: quiet(s.log)}); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(s.db, wallClock{})
	s.Control, err = control.New(control.Config{
		Store: s.db, Queue: s.queue, Catalog: s.platform.catalog, Clock: wallClock{}, Logger: s.log, Observer: s.metrics,
		Tracer: s.traces.tracer("control"), Timeouts: config.Timeouts.over(options.Timeouts),
	})
	if err != nil {
		return nil, err
	}
	s.followOthers(ctx)
	// The nodes of the database come first: jobs are about CVMs on them too.
	if s.hosts, err = openHosts(ctx, builder, s.Control); err != nil {
		return nil, err
	}
	if err = s.queue.Start(ctx, s.Control); err != nil {
		return nil, err
	}
	if err = <-warm; err != nil {
		return nil, err
	}
	return s, s.listen(ctx)
}

// followOthers wakes the event streams of this server after what other servers of the database do.
func (s *Server) followOthers(ctx context.Context) {
	ctx, s.follow = context.WithCancel(context.WithoutCancel(ctx))
	s.followed = make(chan struct{})
	go func() {
		defer close(s.followed)
		s.db.Follow(ctx, s.Control.Changed, s.Control.ChangesMissed)
	}()
}

// quiet keeps what the job queue says about itself out of the log, unless something is wrong.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(atLeast{log.Handler(), slog.LevelWarn}) }

// atLeast lets records of a level and above through.
type atLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements slog.Handler.
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

func (s *Server) listen(ctx context.Context) error {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.metrics)
	var err error
	s.edge, err = server.New(server.Config{
		Domain: s.Control, Clock: wallClock{}, Logger: s.log, Metrics: metrics, Tracer: s.traces.tracer("server"), Origins: s.config.Origins, PublicURL: s.config.PublicURL,
	})
	if err != nil {
		return err
	}
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", s.config.Listen, err)
	}
	s.http = s.edge.HTTPServer()
	go func() {
		if s.config.TLS.CertFile != "" {
			s.served <- s.http.ServeTLS(s.listener, s.config.TLS.CertFile, s.config.TLS.KeyFile)
			return
		}
		s.served <- s.http.Serve(s.listener)
	}()
	s.log.InfoContext(ctx, "serving", "url", s.APIURL())
	return nil
}

// APIURL is the base URL of the API.
func (s *Server) APIURL() string {
	scheme := "http"
	if s.config.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String() + "/api/v1"
}

// Wait returns when the context ends (nil) or the HTTP server fails.
func (s *Server) Wait(ctx context.Context) error {
	debug.FreeOSMemory() // what only the start needed
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.served:
		s.served <- err // for Close
		return fmt.Errorf("serve: %w", err)
	}
}

// Close ends the server in the order that loses nothing: no new requests, then no new work, then the
// parts it stood on. Updates that run go on at the next start.
func (s *Server) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	var errs []error
	if s.http != nil {
		errs = append(errs, s.http.Shutdown(ctx), s.edge.AwaitStreams(ctx))
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	if s.queue != nil {
		errs = append(errs, s.queue.Stop(ctx))
	}
	if s.follow != nil {
		s.follow()
		<-s.followed
	}
	if s.hosts != nil {
		errs = append(errs, s.hosts.close())
	}
	if s.platform != nil {
		errs = append(errs, s.platform.close())
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	s.traces.close(ctx, s.log)
	return errors.Join(errs...)
}
