package monitor

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// login lets one user in. It holds hashes, so that comparing takes the same time
// whatever is sent, and however long.
type login struct {
	user, password [sha256.Size]byte
	off            bool // there is no password
}

func newLogin(user, password string) login {
	return login{user: sha256.Sum256([]byte(user)), password: sha256.Sum256([]byte(password)), off: password == ""}
}

// before asks for the login in front of everything that h answers.
func (l login) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.admits(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="identwatch monitor", charset="UTF-8"`)
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (l login) admits(r *http.Request) bool {
	name, text, given := r.BasicAuth()
	user, password := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(text))
	same := subtle.ConstantTimeCompare(user[:], l.user[:]) & subtle.ConstantTimeCompare(password[:], l.password[:])
	return given && same == 1 && !l.off
}
