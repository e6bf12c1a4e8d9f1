// Package api holds the words of the wire: the JSON objects, the error envelope, the error codes,
// the header names and the API versions that a Lockstep server, the Go SDK and the hosted Phala
// Cloud share. It decides nothing and calls nothing.
//
// # Presence
//
// The official JavaScript clients validate every answer, and for them "may be absent" and "may be
// null" are two different things. The Go types keep them apart:
//
//   - a key that must be there and may be null is a pointer without omitempty (nil becomes null);
//   - a key that may be absent but never null is a pointer with omitempty, or a slice with omitzero;
//   - a key that may be both is a pointer without omitempty, so that it is always sent;
//   - an array that must be there is a [List], which is never null on the wire.
//
// # Versions
//
// Five endpoints answer in two shapes, chosen by the X-Phala-Version header. Types of the older
// version carry its date in their name; all others belong to [Version20260121] or to both.
//
// Unknown keys are ignored when decoding.
package api
