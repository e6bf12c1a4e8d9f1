package store

import (
	"context"
	"database/sql"
	"strings"
	"sync"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
)

// numbered runs the statements of queries/ on PostgreSQL. They are written for SQLite, whose parameters
// are ?1, ?2, …; PostgreSQL has $1, $2, … for the same. The driver parses each once per connection.
type numbered struct{ db.DBTX }

// ExecContext implements db.DBTX.
func (n numbered) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return n.DBTX.ExecContext(ctx, dollars(query), args...)
}

// PrepareContext implements db.DBTX.
func (n numbered) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return n.DBTX.PrepareContext(ctx, dollars(query))
}

// QueryContext implements db.DBTX.
func (n numbered) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return n.DBTX.QueryContext(ctx, dollars(query), args...)
}

// QueryRowContext implements db.DBTX.
func (n numbered) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return n.DBTX.QueryRowContext(ctx, dollars(query), args...)
}

// rewritten keeps what dollars has made; there are as many entries as generated statements.
var rewritten sync.Map

// dollars turns the parameters of a generated statement into those of PostgreSQL. Text in quotes and
// comments stay as they are.
func dollars(query string) string {
	if done, ok := rewritten.Load(query); ok {
		return done.(string) //nolint:forcetypeassert // only strings are stored, two lines below
	}
	done := withDollars(query)
	rewritten.Store(query, done)
	return done
}

func withDollars(query string) string {
	var b strings.Builder
	b.Grow(len(query))
	for i := 0; i < len(query); {
		end := i + 1
		switch c := query[i]; {
		case c == '\'' || c == '"':
			end = after(query, i+1, string(c))
		case strings.HasPrefix(query[i:], "--"):
			end = after(query, i, "\n")
		case strings.HasPrefix(query[i:], "/*"):
			end = after(query, i+2, "*/")
		case c == '?':
			b.WriteByte('$')
			i++
			continue
		}
		b.WriteString(query[i:end])
		i = end
	}
	return b.String()
}

// after is the place behind the next occurrence of mark from a place on, or the end.
func after(s string, from int, mark string) int {
	n := strings.Index(s[from:], mark)
	if n < 0 {
		return len(s)
	}
	return from + n + len(mark)
}
