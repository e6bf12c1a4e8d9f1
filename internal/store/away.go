package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Away tells errors of a database that cannot be reached, is going down or coming up, or has too much to do, from
// those of a statement that is wrong. Whoever meets one may ask again.
func Away(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	for _, known := range []error{errPatience, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pgErr.Code, connectionException) || slices.Contains(awayCodes, pgErr.Code)
	}
	if sqliteErr, ok := errors.AsType[*sqlite.Error](err); ok {
		const primary = 0xff // of an extended code
		return sqliteErr.Code()&primary == sqlite3.SQLITE_BUSY
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[*net.OpError](err)
	return connecting || network || pgconn.SafeToRetry(err)
}

// connectionException is how the SQLSTATE codes of a lost connection begin.
const connectionException = "08"

// awayCodes are the SQLSTATE codes of a database that does not serve for now.
var awayCodes = []string{
	serializationFailure, deadlockDetected,
	"25P03", // the connection was idle in a transaction for too long: the server stood still
	"53300", // too many connections
	"57P01", // an administrator shuts it down
	"57P02", // it crashed
	"57P03", // it starts
	"57P05", // the connection was idle for too long
}
