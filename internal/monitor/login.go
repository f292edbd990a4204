package monitor

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/identwatch/identwatch/internal/retryafter"
	"github.com/identwatch/identwatch/internal/tries"
)

// login lets one user in. It holds hashes, so that comparing takes the same time
// whatever is sent, and however long.
type login struct {
	user, password [sha256.Size]byte
	off            bool // there is no password
	tries          *tries.Limiter
}

func newLogin(user, password string, limiter *tries.Limiter) login {
	return login{user: sha256.Sum256([]byte(user)), password: sha256.Sum256([]byte(password)), off: password == "", tries: limiter}
}

// before asks for the login in front of everything that h answers. A client that
// was wrong too often is refused before its password is looked at, so that it
// learns nothing, also from a right one.
func (l login) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait, admitted := l.judge(r)
		if wait > 0 {
			w.Header().Set("Retry-After", retryafter.Format(wait))
			http.Error(w, "Too many wrong passwords came from this address. Try again in a few seconds.", http.StatusTooManyRequests)
			return
		}
		if !admitted {
			w.Header().Set("WWW-Authenticate", `Basic realm="identwatch monitor", charset="UTF-8"`)
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// judge says whether a request is let in, or how long its client has to wait. One
// that brings no password is no try.
func (l login) judge(r *http.Request) (wait time.Duration, admitted bool) {
	if _, _, given := r.BasicAuth(); !given {
		return 0, false
	}
	if wait = l.tries.Begin(r); wait > 0 {
		l.tries.Wrong(r)
		return wait, false
	}
	if admitted = l.admits(r); admitted {
		l.tries.Right(r)
	} else {
		l.tries.Wrong(r)
	}
	return 0, admitted
}

func (l login) admits(r *http.Request) bool {
	name, text, given := r.BasicAuth()
	user, password := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(text))
	same := subtle.ConstantTimeCompare(user[:], l.user[:]) & subtle.ConstantTimeCompare(password[:], l.password[:])
	return given && same == 1 && !l.off
}
