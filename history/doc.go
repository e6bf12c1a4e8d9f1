// Package history is the format of the history that a Lockstep server keeps of each app, and checks copies
// of it: what was proposed, approved, refused and run, by whose key, and when.
//
// The entries of an app are a hash chain. Each has the hash of the one before in its own bytes, so whoever
// remembers the number and hash of one entry can tell later that nothing up to it was removed, changed,
// inserted or reordered. Checking needs no server, no database and no key, and this package needs nothing
// but the standard library: it is public because those who check are not those who run the server.
//
// # Bytes of an entry
//
// The hash of an entry is the SHA-256 of these bytes. Integers are big-endian; text(x) is the length of x in
// bytes as uint32, then x in UTF-8.
//
//	"lockstep history entry 1\n"      the domain: bytes of nothing else begin so
//	text(app id)                      40 lower-case hex digits
//	uint64 seq                        counts from 1
//	32 bytes                          hash of the entry before; zeros for the first
//	text(time)                        2006-01-02T15:04:05.000000Z
//	text(kind) text(actor) text(cvm) text(operation)
//	uint32 number of facts, then for each in ascending order of its name's bytes
//	text(name) text(value)            no name comes twice
//
// Values are hashed, not JSON: a copy may be indented, filtered through jq or kept in a database, and is
// still good as long as the values are.
package history
