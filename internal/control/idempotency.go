package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

const (
	// answerKept is how long a request may be repeated under its Idempotency-Key at least.
	answerKept = 24 * time.Hour
	// requestLease is how long a request is taken to be under way that has not been answered: longer than
	// the edge lets one last. After it the process that had it is dead.
	requestLease = 2 * time.Minute
)

// Claim is the right to carry out a request that has an Idempotency-Key, once. What the request makes is
// noted with it in one transaction (Service.made), so that a process that dies before it could answer does not
// make another one do it again.
type Claim struct {
	key     string
	attempt int64
	// result is what an earlier attempt made before it died; empty when there was none.
	result string
}

// Answer is what a request was answered with.
type Answer struct {
	Status    int // HTTP status
	MediaType string
	Body      []byte
}

// ClaimRequest takes up a request with an Idempotency-Key: with a claim it is to be carried out, with an answer
// it was before. The fingerprint is equal exactly for equal requests. Another request under the same key is a
// problem of kind unprocessable; one that is under way, here or elsewhere, is busy.
func (s *Service) ClaimRequest(ctx context.Context, p Principal, key, fingerprint string) (*Claim, *Answer, error) {
	var claim *Claim
	var answer *Answer
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		claim, answer = nil, nil
		now := s.clock.Now()
		until, expires := column.At(now.Add(requestLease)), column.At(now.Add(answerKept+requestLease))
		row, err := tx.GetIdempotencyKey(ctx, p.Workspace.ID, key)
		if err == nil && !now.Before(row.ExpiresAt.Time) {
			if err := tx.DeleteIdempotencyKey(ctx, p.Workspace.ID, key); err != nil {
				return err
			}
			err = store.ErrNotFound
		}
		switch {
		case errors.Is(err, store.ErrNotFound):
			claim = &Claim{key: key, attempt: 1}
			return tx.InsertIdempotencyKey(ctx, store.InsertIdempotencyKeyParams{
				WorkspaceID: p.Workspace.ID, Key: key, Fingerprint: fingerprint, LeasedUntil: until, ExpiresAt: expires,
			})
		case err != nil:
			return err
		case row.Fingerprint != fingerprint:
			return problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "this Idempotency-Key belongs to another request").
				With(api.HeaderIdempotencyKey, key, "a key of its own for each request: same API key, method, path, query, body and proof").
				Suggest("Use a new key, or repeat exactly the request that it was first used for.")
		case row.Status != 0:
			answer = &Answer{Status: int(row.Status), MediaType: row.MediaType, Body: row.Body}
			return nil
		case now.Before(row.LeasedUntil.Time):
			return underWay()
		}
		changed, err := tx.LeaseIdempotencyKey(ctx, store.LeaseIdempotencyKeyParams{
			WorkspaceID: p.Workspace.ID, Key: key, Attempt: row.Attempt, LeasedUntil: until, ExpiresAt: expires,
		})
		if err == nil && changed == 0 {
			return underWay()
		}
		claim = &Claim{key: key, attempt: row.Attempt + 1, result: row.Result}
		return err
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, nil, underWay().Because(err) // the same request came twice at once
	}
	if err != nil {
		return nil, nil, fmt.Errorf("claim request: %w", err)
	}
	return claim, answer, nil
}

// underWay has no code: clients repeat a bare 409 by themselves.
func underWay() *problem.Error {
	return problem.New(problem.KindBusy, "", "the same request is being carried out; try again in a moment")
}

// AnswerRequest keeps the answer of a request for those who repeat it.
func (s *Service) AnswerRequest(ctx context.Context, p Principal, claim *Claim, answer Answer) error {
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AnswerIdempotencyKey(ctx, store.AnswerIdempotencyKeyParams{
			WorkspaceID: p.Workspace.ID, Key: claim.key, Attempt: claim.attempt,
			Status: int64(answer.Status), MediaType: answer.MediaType, Body: answer.Body,
		})
		return err // of one that lost its claim nothing is kept
	})
}

// ReleaseRequest gives a claim back without an answer: a request that was refused changed nothing, and is
// decided anew when it is repeated.
func (s *Service) ReleaseRequest(ctx context.Context, p Principal, claim *Claim) error {
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ReleaseIdempotencyKey(ctx, p.Workspace.ID, claim.key, claim.attempt)
		return err
	})
}

// made notes, in the transaction that makes it, what the request of a principal makes. A request without an
// Idempotency-Key notes nothing. One that lost its claim meanwhile must not make anything any more.
func made(ctx context.Context, tx *store.Tx, p Principal, id string) error {
	if p.Claim == nil {
		return nil
	}
	changed, err := tx.SetIdempotencyResult(ctx, store.SetIdempotencyResultParams{
		WorkspaceID: p.Workspace.ID, Key: p.Claim.key, Attempt: p.Claim.attempt, Result: id,
	})
	if err == nil && changed == 0 {
		return underWay()
	}
	return err
}

// madeBefore is what an earlier attempt at this request made, if it made something.
func madeBefore(p Principal) (id string, ok bool) {
	if p.Claim == nil || p.Claim.result == "" {
		return "", false
	}
	return p.Claim.result, true
}

// sweepRequests forgets keys whose time is over.
func (s *Service) sweepRequests(ctx context.Context) error {
	now := column.At(s.clock.Now())
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.DeleteExpiredIdempotencyKeys(ctx, now)
		return err
	})
}
