package store

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Follow tells of CVMs that were changed by any server, after the commit, until the context ends. A change
// may be told more than once. missed is called when changes may have been: at the start, and after the
// connection to the database was lost. With SQLite there is one server, which knows what it changes.
func (s *Store) Follow(ctx context.Context, changed func(cvmID int64), missed func()) {
	s.engine.follow(ctx, changed, missed)
}

func (e sqliteEngine) follow(context.Context, func(int64), func()) {}

const (
	reconnectAfter = 500 * time.Millisecond
	// silence is how long a connection may tell nothing before it is asked whether it lives.
	silence = 10 * time.Second
)

func (e *postgresEngine) follow(ctx context.Context, changed func(int64), missed func()) {
	for ctx.Err() == nil {
		_ = e.followOnce(ctx, changed, missed) // whatever ended it, the next connection makes up for it
		_ = sleep(ctx, reconnectAfter)         // its error is that of the context, which ends the loop
	}
}

// followOnce listens on one connection until that fails.
func (e *postgresEngine) followOnce(ctx context.Context, changed func(int64), missed func()) error {
	conn, err := pgx.ConnectConfig(ctx, e.config.ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // it has nothing to lose
	if _, err := conn.Exec(ctx, "LISTEN lockstep_cvm"); err != nil {
		return err
	}
	missed()
	for {
		quiet, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(quiet)
		timeout := quiet.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			if id, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
				changed(id)
			}
		case timeout:
			ping, cancel := context.WithTimeout(ctx, silence)
			err := conn.Ping(ping)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// sleep waits for d or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
