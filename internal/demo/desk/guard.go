package desk

import (
	"net/http"

	"github.com/identwatch/identwatch/internal/address"
)

// policy lets the page load its own files and talk to its own server, and nothing
// else. Scripts and styles are in files of their own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses what other sites make a browser ask for: changes that no page of
// this server asked for, and every request under a name that is not this
// machine's, which is what DNS rebinding looks like.
func guard(h http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "this was asked for by a page of another site")
	}))
	protected := origins.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !address.IsLoopback(r.Host) {
			refuse(w, http.StatusForbidden, "this server answers under the names of this machine alone: open it at http://127.0.0.1 or http://localhost, with its port")
			return
		}
		protected.ServeHTTP(w, r)
	})
}

// own sets what the desk's own answers say of themselves.
func own(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-cache") // a newer identwatch may be on the same port next
		h.ServeHTTP(w, r)
	})
}
