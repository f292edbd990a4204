package monitor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"path"
	"regexp"
	"strings"
)

// page is asynqmon's one page, which draws every view in the browser.
type page struct {
	html    string // with a nonce between the two halves of what is cut at nonceMark
	scripts string // the sources of its scripts, as a policy names them
}

// nonceMark stands in the page where the nonce of one answer goes. JSS, which
// writes the styles in the browser, looks for the nonce in this meta element.
const (
	nonceMark = "{nonce}"
	nonceMeta = `<head><meta property="csp-nonce" content="` + nonceMark + `"/>`
)

var (
	// foreign are links to other hosts, which are fonts, and to the manifest,
	// which browsers fetch without the login. The page does without them.
	foreign = regexp.MustCompile(`<link [^>]*(?:href="https?://|rel="manifest")[^>]*>`)
	inline  = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
)

// newPage makes the page of asynqmon's HTML.
func newPage(html string) page {
	p := page{scripts: "'self'"}
	p.html = strings.Replace(foreign.ReplaceAllString(html, ""), "<head>", nonceMeta, 1)
	for _, script := range inline.FindAllStringSubmatch(p.html, -1) {
		sum := sha256.Sum256([]byte(script[1]))
		p.scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return p
}

// write answers with the page, and with a policy that lets its own scripts run,
// its own styles count and its own calls go out, and nothing else.
func (p page) write(w http.ResponseWriter) {
	nonce := rand.Text()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src "+p.scripts+
		"; style-src 'nonce-"+nonce+"'; img-src 'self'; connect-src 'self'"+
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(strings.Replace(p.html, nonceMark, nonce, 1)))
}

// isFile tells asynqmon's files from its views by their paths: a view has no
// extension, and the name of a task, which can look like one, is further down.
func isFile(name string) bool {
	return strings.HasPrefix(name, "static/") || !strings.Contains(name, "/") && path.Ext(name) != ""
}

// serveFile answers with a script or an icon. asynqmon names the type of each of
// its files, and answers with its page where there is none.
func (m *monitor) serveFile(w http.ResponseWriter, r *http.Request) {
	file := m.ask(r)
	kind := file.header.Get("Content-Type")
	if kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	if strings.HasPrefix(r.URL.Path, Path+"static/") { // a name holds a hash of the content
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	_, _ = w.Write(file.body.Bytes())
}
