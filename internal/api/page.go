package api

import (
	"embed"
	"net/http"
	"strings"

	swaggerui "github.com/swaggest/swgui/v5/static"
	"github.com/vearutop/statigz"
)

// ownPage is the page itself; what it shows the document with is Swagger UI's.
//
//go:embed page
var ownPage embed.FS

// pagePolicy lets the page load and ask nothing but this service.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page renders the document with Swagger UI, which is embedded: nothing comes
// from elsewhere.
func page() http.Handler {
	theirs := http.StripPrefix("/docs", statigz.FileServer(swaggerui.FS))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		switch name := strings.TrimPrefix(r.URL.Path, "/docs/"); name {
		case "":
			servePage(w, "index.html", "text/html; charset=utf-8")
		case "page.js":
			servePage(w, name, "text/javascript; charset=utf-8")
		case "page.css":
			servePage(w, name, "text/css; charset=utf-8")
		case "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png":
			theirs.ServeHTTP(w, r)
		default:
			errNoPath.write(w)
		}
	})
}

func servePage(w http.ResponseWriter, name, contentType string) {
	text, err := ownPage.ReadFile("page/" + name)
	if err != nil {
		errNoPath.write(w)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(text) //nolint:gosec // a file of ours
}
