package prpc

import (
	"encoding/json"
	"strings"
)

// Error is the body of an answer with status 400. It has no code, only its text.
type Error struct {
	Error string `json:"error"`
}

// MaxErrorText is how much of an error's text is kept, in bytes.
const MaxErrorText = 2000

// ErrorText is what an error body says, or the body itself where it is none: one line or more of valid UTF-8, cut
// to MaxErrorText.
func ErrorText(body []byte) string {
	var parsed Error
	text := string(body[:min(len(body), MaxErrorText+1)])
	if json.Unmarshal(body, &parsed) == nil && parsed.Error != "" {
		text = parsed.Error
	}
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > MaxErrorText {
		text = strings.ToValidUTF8(text[:MaxErrorText], "") + " …"
	}
	if text == "" {
		return "no reason given"
	}
	return text
}
