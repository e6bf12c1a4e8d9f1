// Package demo plays the main job of Lockstep in one process and checks every claim on the way: an
// update through an off-chain KMS, one through an on-chain KMS, every refusal, and a version that does
// not boot. All parts are real (HTTP, JSON-RPC, contracts, SQLite on disk); only the node is simulated.
//
// The client's side talks to the cloud through the public SDK alone. What the guest measured is read
// from the node behind the control plane's back, so that the comparison of hashes can fail.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Config is what a run takes. Zero values are the defaults.
type Config struct {
	// Out gets the story for people; nil for no story.
	Out io.Writer
	// Logger gets what the parts of the cloud log; nil discards it.
	Logger *slog.Logger
	// Pace is how long a boot stage of a simulated CVM takes. Default 25 ms; negative is no time.
	Pace time.Duration
	// Now is the clock that checks are timed with. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Pace == 0 {
		c.Pace = 25 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// stepLimit is how long one step may take before it counts as failed: no step needs more than a second or
// two, but the machine may be busy.
const stepLimit = 2 * time.Minute

// Run plays the story and returns what came of it. It always returns a report with every check of the
// story; those that could not be made, after a failure or the end of ctx, did not hold.
func Run(ctx context.Context, config Config) Report {
	config = config.withDefaults()
	return newStory(config, func(ctx context.Context) (*cloud, error) { return open(ctx, config) }).tell(ctx)
}

// chapter is a part of the story.
type chapter struct {
	title string
	steps []step
}

// step is something that happens and the check that it happened as it should.
type step struct {
	name string
	// needs names the checks without which this one cannot be made.
	needs []string
	run   func(ctx context.Context) (detail string, err error)
}

// story is one telling.
type story struct {
	*cloud // from the first step on
	config Config
	open   func(context.Context) (*cloud, error)
	page   *page
	report Report

	offChain subject
	onChain  subject

	demandSeen bool // a 465 has been shown with all that is in it
}

func newStory(config Config, open func(context.Context) (*cloud, error)) *story {
	return &story{config: config, open: open, page: &page{out: config.Out}}
}

func (s *story) chapters() []chapter {
	return []chapter{
		s.theCloud(),
		s.offChainUpdate(),
		s.onChainUpdate(),
		s.refusedProofs(),
		s.refusedRequests(),
		s.oneAtATime(),
		s.badVersion(),
		s.theEnd(),
	}
}

func (s *story) tell(ctx context.Context) Report {
	began := s.config.Now()
	s.page.opening()
	for i, c := range s.chapters() {
		s.page.chapter(i+1, c.title)
		for _, st := range c.steps {
			check := s.take(ctx, st)
			s.report.add(check)
			s.page.check(check)
		}
	}
	// A story that broke off before its end leaves nothing behind either.
	if err := s.shut(context.WithoutCancel(ctx)); err != nil {
		s.config.Logger.ErrorContext(ctx, "close the cloud", "error", err)
	}
	s.page.summary(s.report, s.config.Now().Sub(began))
	return s.report
}

// take makes a step, unless something it stands on is not there.
func (s *story) take(ctx context.Context, st step) Check {
	for _, need := range st.needs {
		if !s.report.holds(need) {
			return checkOf(st.name, "", fmt.Errorf("not tried, because this did not hold: %s", need), 0)
		}
	}
	began := s.config.Now()
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	detail, err := "", ctx.Err()
	if err == nil {
		detail, err = st.run(ctx)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("not done after %s", stepLimit), err)
	}
	return checkOf(st.name, detail, err, s.config.Now().Sub(began))
}

// shut ends the cloud once.
func (s *story) shut(ctx context.Context) error {
	if s.cloud == nil {
		return nil
	}
	c := s.cloud
	s.cloud = nil
	return c.close(ctx)
}
