package control

import (
	"regexp"
	"strings"
	"unicode"
)

// maxSanitised is the most bytes of an error that a key without the scope admin gets to see.
const maxSanitised = 300

// Addresses tell how the operator's network is built: URLs, host:port and IP addresses.
var address = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"']+|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-f:]*:[0-9a-f:]*\](?::\d+)?|\b[a-z0-9-]+(?:\.[a-z0-9-]+)+:\d{1,5}\b|\blocalhost:\d{1,5}\b`)

// sanitise makes of an error what anybody in the workspace may see: the first line, since what follows are
// lines of the guest's log, without addresses, and not endless.
func sanitise(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = strings.TrimSuffix(text, ", last lines:")
	text = address.ReplaceAllString(text, "(address)")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if len(text) > maxSanitised {
		text = strings.ToValidUTF8(text[:maxSanitised], "") + "…"
	}
	return text
}
