// Package server is the HTTP edge of Lockstep: it turns requests of the Phala Cloud REST API into calls
// of the domain (internal/control), and what the domain answers into the exact shapes, statuses and
// headers that the official clients read. It decides nothing itself.
//
// Every operation is one line of the table in routes.go and is described in openapi.yaml; a test
// compares the two. Errors of the domain become answers in one place, render.go.
package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Domain is what the edge needs of the domain. *control.Service is one.
type Domain interface {
	// Authenticate tells whose API key this is; an empty or unknown one is a problem of kind
	// unauthenticated.
	Authenticate(ctx context.Context, key string) (control.Principal, error)

	CVM(ctx context.Context, p control.Principal, identifier string) (*control.CVM, error)
	Document(ctx context.Context, p control.Principal, identifier string) (*appcompose.Document, error)
	CVMs(ctx context.Context, p control.Principal, page, size int) ([]*control.CVM, int64, error)
	Apps(ctx context.Context, p control.Principal, filter control.AppFilter, page, size int) ([]*control.App, int, error)
	Statuses(ctx context.Context, p control.Principal, vmUUIDs []string) (map[string]*control.CVM, error)
	GuestSystem(ctx context.Context, p control.Principal, identifier string) (*control.Guest, error)
	GuestNetwork(ctx context.Context, p control.Principal, identifier string) (*control.Guest, error)
	Logs(ctx context.Context, p control.Principal, identifier string, options runtime.LogOptions) (io.ReadCloser, error)
	GrantLog(p control.Principal, vmUUID, container string) string
	RedeemLogGrant(ctx context.Context, token, vmUUID, container string) (control.Principal, error)

	// Watch wakes after each change of the CVM with this row id, until the function is called.
	Watch(cvmID int64) (<-chan struct{}, func())

	Provision(ctx context.Context, p control.Principal, request api.ProvisionRequest, composeFile json.RawMessage) (*control.Provisioned, error)
	Commit(ctx context.Context, p control.Principal, request api.CommitRequest) (*control.CVM, error)
	UpdateCompose(ctx context.Context, p control.Principal, identifier string, request control.ComposeUpdate) (control.Outcome, error)

	Power(ctx context.Context, p control.Principal, identifier string, request control.PowerRequest) (*control.CVM, error)
	DeleteCVM(ctx context.Context, p control.Principal, identifier string) error
	BatchStop(ctx context.Context, p control.Principal, identifiers []string) (control.Stopped, error)
	Rename(ctx context.Context, p control.Principal, identifier, name string) error
	SetListed(ctx context.Context, p control.Principal, identifier string, listed bool) (*control.CVM, error)
	Operations(ctx context.Context, p control.Principal, identifier string, query control.OperationsQuery) (*control.OperationsPage, error)
	OperationStatus(ctx context.Context, p control.Principal, identifier string) (active *control.Operation, cancellable bool, err error)
	CancelOperation(ctx context.Context, p control.Principal, identifier string) (control.Cancelled, error)

	App(ctx context.Context, p control.Principal, appID string) (*control.App, error)
	Replicate(ctx context.Context, p control.Principal, identifier string, request api.ReplicateRequest, prepareOnly bool) (*control.CVM, error)
	ReplicateOfApp(ctx context.Context, p control.Principal, appID, vmUUID string, request api.ReplicateRequest, prepareOnly bool) (*control.CVM, error)

	StartRollout(ctx context.Context, p control.Principal, appID string, request api.RolloutRequest) (*control.FleetRollout, error)
	Rollouts(ctx context.Context, p control.Principal, appID string, limit int) ([]*control.FleetRollout, error)
	Rollout(ctx context.Context, p control.Principal, appID, rolloutID string) (*control.FleetRollout, error)
	PauseRollout(ctx context.Context, p control.Principal, appID, rolloutID string) (*control.FleetRollout, error)
	ResumeRollout(ctx context.Context, p control.Principal, appID, rolloutID string) (*control.FleetRollout, error)
	AbortRollout(ctx context.Context, p control.Principal, appID, rolloutID string) (*control.FleetRollout, error)

	// ClaimRequest gives a claim to carry a request out, or the answer that it had before.
	ClaimRequest(ctx context.Context, p control.Principal, key, fingerprint string) (*control.Claim, *control.Answer, error)
	AnswerRequest(ctx context.Context, p control.Principal, claim *control.Claim, answer control.Answer) error
	ReleaseRequest(ctx context.Context, p control.Principal, claim *control.Claim) error

	Revisions(ctx context.Context, p control.Principal, appID string, page, size int) ([]*control.RevisionDetail, int64, error)
	Revision(ctx context.Context, p control.Principal, appID, revisionID string) (*control.RevisionDetail, error)
	Redeploy(ctx context.Context, p control.Principal, identifier, revisionID, transaction string) (control.Redeployed, error)
	RedeployApp(ctx context.Context, p control.Principal, appID, revisionID, transaction string, vmUUIDs []string) ([]control.Redeployed, error)

	// History serves a reader without a key (nil) only what is public.
	History(ctx context.Context, p *control.Principal, appID string, after uint64, limit int) (*api.History, error)
	SetHistory(ctx context.Context, p control.Principal, appID string, settings api.HistorySettings) (*api.History, error)

	NextAppIDs(ctx context.Context, p control.Principal, count int) ([]api.NextAppID, error)
	EnvKey(ctx context.Context, kmsRef, appID string) (kms.EnvKey, error)
	Catalog() *control.Catalog
	Free(ctx context.Context, node *control.Node) (control.Capacity, error)

	// Ready reports whether requests can be served now.
	Ready(ctx context.Context) error
}

// Config is what a Server is made of. Domain and Clock are needed.
type Config struct {
	Domain Domain
	Clock  control.Clock
	Logger *slog.Logger // default: discards
	Rand   io.Reader    // for request ids; default: crypto/rand

	// Tracer makes a span of each request to the API. Default: no spans.
	Tracer trace.Tracer

	// Metrics is where the server's metrics are registered and what GET /metrics shows. Default: a
	// registry of its own.
	Metrics *prometheus.Registry

	// Origins are the browser origins that may call the API. Empty means any: requests carry an API key
	// and never a cookie, so a foreign page can do nothing that its user did not give it the key for.
	// Origins that are named may also send cookies, for a sign-in proxy in front of the server.
	Origins []string

	// PublicURL is where clients reach the server, without the path of the API, for addresses that it hands
	// out. Empty: as the request came.
	PublicURL string
}

// Server serves the API. It is an http.Handler.
type Server struct {
	domain  Domain
	clock   control.Clock
	log     *slog.Logger
	rand    io.Reader
	origins map[string]bool
	metrics *metrics
	tracer  trace.Tracer // nil: no spans
	routes  *node
	streams streamLimit
	logs    streamLimit
	looking chan struct{} // has a value for each stream that reads the state now

	publicURL string // without a slash at its end

	detached sync.WaitGroup // event streams on connections of their own
	stop     chan struct{}  // closed by Shutdown: event streams end
	stopOnce sync.Once
}

// New makes a Server. It starts nothing.
func New(config Config) (*Server, error) {
	if config.Domain == nil || config.Clock == nil {
		return nil, errors.New("server: Domain and Clock are required")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	if config.Metrics == nil {
		config.Metrics = prometheus.NewRegistry()
	}
	m, err := newMetrics(config.Metrics)
	if err != nil {
		return nil, err
	}
	if err := config.Metrics.Register(nodeMetrics{config.Domain}); err != nil {
		return nil, err
	}
	s := &Server{
		domain:  config.Domain,
		clock:   config.Clock,
		log:     config.Logger,
		rand:    config.Rand,
		origins: make(map[string]bool, len(config.Origins)),
		metrics: m,
		tracer:  config.Tracer,
		routes:  newTree(operations),
		looking: make(chan struct{}, looksAtOnce),
		stop:    make(chan struct{}),

		publicURL: strings.TrimRight(config.PublicURL, "/"),
	}
	for _, origin := range config.Origins {
		s.origins[origin] = true
	}
	return s, nil
}

// Shutdown ends the event streams, so that http.Server.Shutdown need not wait for them. Other requests
// go on. It may be called more than once.
func (s *Server) Shutdown() { s.stopOnce.Do(func() { close(s.stop) }) }

// Limits of a connection. A request body is at most a few MB, so a minute is plenty; event streams lift
// the two deadlines for themselves.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// HTTPServer returns an http.Server for this handler with the timeouts and limits that a server open to
// the world needs. Its Shutdown also ends the event streams. The caller sets address and TLS.
func (s *Server) HTTPServer() *http.Server {
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	hs.RegisterOnShutdown(s.Shutdown)
	return hs
}
