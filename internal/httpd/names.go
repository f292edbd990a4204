package httpd

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/identwatch/identwatch/internal/address"
)

// OwnNames refuses requests under a name that is not the server's: a page of
// another site may have its name lead to this machine (DNS rebinding), and would
// then read what is meant for this machine's user. On a loopback address the
// server's names are those of [address.IsLoopback]. On another one they are also every IP
// address, and names without a dot, such as those of containers: no site has one.
// More are names that are the server's too.
func OwnNames(listen string, more []string, h http.Handler) http.Handler {
	local := address.IsLoopback(listen)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := address.NameOf(r.Host); !address.IsLoopback(r.Host) && !slices.Contains(more, name) && (local || !isUnowned(name)) {
			http.Error(w, "this server does not answer under this name: ask for it by its address, or start it with --host and the name", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isUnowned reports whether a name is one that no site can have.
func isUnowned(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil || name != "" && !strings.Contains(name, ".")
}
