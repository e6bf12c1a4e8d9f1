// Package prpc holds what dstack's services have in common on the wire: their RPC is protobuf messages, in JSON
// where the client asks for it, over HTTP.
package prpc

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Bytes is a protobuf field of type bytes. In JSON it is a string of lower-case hex digits without 0x.
type Bytes []byte

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 2+hex.EncodedLen(len(b)))
	out = append(out, '"')
	out = hex.AppendEncode(out, b)
	return append(out, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler. Upper-case digits are taken too; null is no bytes.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	var digits *string
	if err := json.Unmarshal(text, &digits); err != nil {
		return fmt.Errorf("prpc: bytes are %.40s, want a string of hex digits", text)
	}
	*b = nil
	if digits == nil || *digits == "" {
		return nil
	}
	decoded, err := hex.DecodeString(*digits)
	if err != nil {
		return fmt.Errorf("prpc: bytes are not hex: %w", err)
	}
	*b = decoded
	return nil
}
