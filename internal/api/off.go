package api

import "net/http"

// Off answers in place of an [API] if no account has a key: it says which setting
// makes one.
func Off() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		errOff.write(w)
	})
}
