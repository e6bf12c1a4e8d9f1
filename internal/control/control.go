// Package control is the domain of Lockstep: CVMs, what they run, and the state machine that moves
// an update from a proposal to a running, verified revision.
//
// Its one promise is the invariant of docs/architecture.md: a CVM never boots a document that its
// owner has not approved, byte for byte. So a document is built once, when an update is proposed, and
// kept as bytes; phase 2, the rollout and the check after boot all compare hashes of those bytes.
//
// Everything an update goes through is a row. A state changes in one database transaction together
// with its history row and the job that does the next thing, so a process may die at any point and
// another one goes on. Steps look at what is there before they act; repeating one changes nothing.
package control

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common/lru"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Clock tells and waits for time.
type Clock interface {
	Now() time.Time
	// Sleep returns after d, or earlier with the error of ctx.
	Sleep(ctx context.Context, d time.Duration) error
}

// Queue takes jobs that survive the process.
type Queue interface {
	// EnqueueAdvance adds, inside tx, the job that calls Service.Run for this update.
	EnqueueAdvance(ctx context.Context, tx *store.Tx, updateID string) error
	// EnqueueRollout adds, inside tx, the job that calls Service.RunRollout for this fleet rollout.
	EnqueueRollout(ctx context.Context, tx *store.Tx, rolloutID string) error
	// EnqueuePower adds, inside tx, the job that calls Service.RunPower for this power operation.
	EnqueuePower(ctx context.Context, tx *store.Tx, operationID string) error
}

// JobLister is what a Queue implements besides when it can tell which updates have a job: a sweep of ten
// thousand updates under way then adds nothing.
type JobLister interface {
	Advancing(ctx context.Context) (map[string]bool, error)
}

// Timeouts of the parts of an update. Zero values mean the defaults of DefaultTimeouts.
type Timeouts struct {
	Candidate  time.Duration // how long a proposal awaits approval
	Provision  time.Duration // how long a provisioned CVM awaits its commit
	TxLookup   time.Duration // how long phase 2 looks for what the client's RPC node saw already
	TxInterval time.Duration // between two looks
	Stop       time.Duration // how long a CVM may take to shut down before it is cut off
	Healthy    time.Duration // how long a new revision may take to become healthy
	Rollback   time.Duration // how long the previous revision may take to come back
	Progress   time.Duration // how long an operation may take as a whole; the way back of an update comes on top
	Poll       time.Duration // between two looks at a CVM whose node tells nothing by itself
	Retry      time.Duration // before a node or an RPC that failed is asked again
}

// DefaultTimeouts are the timeouts of a server that is not told otherwise. Candidate and Provision
// are those of the hosted API; TxLookup stays far below the 30 s that the official clients wait.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Candidate:  14 * 24 * time.Hour,
		Provision:  14 * 24 * time.Hour,
		TxLookup:   6 * time.Second,
		TxInterval: 300 * time.Millisecond,
		Stop:       time.Minute,
		Healthy:    5 * time.Minute,
		Rollback:   10 * time.Minute,
		Progress:   30 * time.Minute,
		Poll:       500 * time.Millisecond,
		Retry:      2 * time.Second,
	}
}

// Database keeps the rows. *store.Store is one; tests put one around it that dies at will.
type Database interface {
	// Read gives the queries outside a transaction.
	Read() *store.Queries
	// Write runs f in one transaction that happens whole or not at all.
	Write(ctx context.Context, f func(context.Context, *store.Tx) error) error
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// Config is what a Service is made of. All fields are needed except Rand (crypto/rand), Logger
// (discards), Observer (nobody), Tracer (no spans) and Timeouts (DefaultTimeouts).
type Config struct {
	Store    Database
	Queue    Queue
	Catalog  *Catalog
	Clock    Clock
	Rand     io.Reader
	Logger   *slog.Logger
	Observer Observer
	Tracer   trace.Tracer // of the spans of steps
	Timeouts Timeouts
}

// Service carries out what the API offers. It is safe for concurrent use, and any number of them may
// share one database.
type Service struct {
	store    Database
	queue    Queue
	catalog  *Catalog
	clock    Clock
	rand     io.Reader
	log      *slog.Logger
	observer Observer
	tracer   trace.Tracer // nil: no spans
	timeouts Timeouts
	events   *Broker
	running  alone
	checker  *appcompose.Checker
	refusals *lru.Cache[string, time.Time]            // when a refusal was last recorded, by what it was
	shown    *lru.Cache[string, *appcompose.Document] // by revision id; revisions and documents never change
}

// shownDocuments is how many parsed documents are kept at hand for reading and for making candidates.
const shownDocuments = 128

// rememberedRefusals is how many refusals are known again when a client repeats its request.
const rememberedRefusals = 1024

// checkedTexts is how many accepted Compose files are remembered: phase 2 sends the one of phase 1 again.
const checkedTexts = 1024

// New makes a Service. It starts nothing.
func New(config Config) (*Service, error) {
	if config.Store == nil || config.Queue == nil || config.Catalog == nil || config.Clock == nil {
		return nil, errors.New("control: Store, Queue, Catalog and Clock are required")
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Observer == nil {
		config.Observer = noObserver{}
	}
	if config.Timeouts == (Timeouts{}) {
		config.Timeouts = DefaultTimeouts()
	}
	if config.Timeouts.Progress == 0 {
		config.Timeouts.Progress = DefaultTimeouts().Progress
	}
	return &Service{
		store:    config.Store,
		queue:    config.Queue,
		catalog:  config.Catalog,
		clock:    config.Clock,
		rand:     config.Rand,
		log:      config.Logger,
		observer: config.Observer,
		tracer:   config.Tracer,
		timeouts: config.Timeouts,
		events:   NewBroker(),
		checker:  appcompose.NewChecker(checkedTexts),
		refusals: lru.NewCache[string, time.Time](rememberedRefusals),
		shown:    lru.NewCache[string, *appcompose.Document](shownDocuments),
	}, nil
}

// Catalog tells the nodes and key management services of this server.
func (s *Service) Catalog() *Catalog { return s.catalog }

// Ready reports whether the service can work: the database answers.
func (s *Service) Ready(ctx context.Context) error { return s.store.Ping(ctx) }
