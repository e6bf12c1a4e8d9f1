package vmmtest

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// authorized tells whether a request may come in. Without tokens and users everybody may.
func (v *VMM) authorized(r *http.Request) bool {
	if len(v.config.Tokens) == 0 && len(v.config.Users) == 0 {
		return true
	}
	if token := r.Header.Get("X-Admin-Token"); token != "" && v.isToken(token) {
		return true
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && v.isToken(strings.TrimSpace(value)) {
		return true
	}
	if user, password, ok := r.BasicAuth(); ok {
		if hash, known := v.config.Users[user]; known && bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil {
			return true
		}
		// A token may stand for the password of anybody, or for the user with no password.
		if v.isToken(password) || password == "" && v.isToken(user) {
			return true
		}
	}
	return r.Method == http.MethodGet && v.isToken(r.URL.Query().Get("token"))
}

func (v *VMM) isToken(token string) bool {
	given, found := sha256.Sum256([]byte(token)), 0
	for _, t := range v.config.Tokens {
		known := sha256.Sum256([]byte(t))
		found |= subtle.ConstantTimeCompare(given[:], known[:])
	}
	return token != "" && found == 1
}

func refuseEntry(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="dstack-vmm"`)
	http.Error(w, "Unauthorized", http.StatusUnauthorized)
}
