package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Amount is a sum of money in decimal notation. The wire allows a string or a number; it is kept
// as the text that was there, so that nothing is rounded, and sent as a string.
type Amount string

// UnmarshalJSON implements [json.Unmarshaler]: it accepts a string and a number.
func (a *Amount) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(a))
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("amount: got %.32s, want a number or a string", b)
	}
	*a = Amount(n)
	return nil
}
