package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// serve serves one page, and 500 for every other path.
func serve(t *testing.T, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,">%s</html>`, body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// recorder is a test that notes its failures.
type recorder struct {
	testing.TB

	mu   sync.Mutex
	said []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.said, func(s string) bool { return strings.Contains(s, part) })
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := Start(t)

	t.Run("fails its test for whatever goes wrong in it", func(t *testing.T) {
		t.Parallel()
		url := serve(t, `<script>
			console.error("a complaint", 7); console.log("chatter");
			fetch("/broken").then(() => { document.title = "done"; throw new Error("a defect"); });
		</script>`)
		r := &recorder{TB: t}
		p := b.Open(t, url, Options{})
		p.Wait("the page's script", `document.title === "done"`)
		for _, want := range []string{`console error: "a complaint" 7`, "HTTP 500: GET " + url + "broken", "exception: Error: a defect"} {
			p.Wait("an event", "true")
			p.problems.report(r)
			if !r.has(want) {
				t.Errorf("%q lacks %s", r.said, want)
			}
		}
		if r.has("chatter") {
			t.Errorf("%q has what is no problem", r.said)
		}
		p.problems.list = nil
	})

	t.Run("forgives what the test brings about", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t, serve(t, `<script>fetch("/broken").then(() => { document.title = "done" })</script>`), Options{Expect: []string{"500"}})
		p.Wait("the answer", `document.title === "done"`)
	})

	t.Run("is driven by keys alone", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t, serve(t, `<input id="name"> <button id="go" type="button">Go</button> <output></output>
			<script>document.querySelector("#go").onclick = () => { document.querySelector("output").textContent = "Hello " + document.querySelector("#name").value }</script>`), Options{})
		p.TabTo("#name")
		p.Press("A", "d", "a")
		p.TabTo("#go")
		p.Press(Enter)
		p.WaitText("output", "Hello Ada")
	})

	t.Run("has the size and the colours that were asked for", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t, serve(t, ""), Options{Width: 390, Height: 700, Dark: true})
		if got := Eval[string](p, "innerWidth + 'x' + innerHeight + ' ' + matchMedia('(prefers-color-scheme: dark)').matches"); got != "390x700 true" {
			t.Errorf("got %s", got)
		}
	})

	t.Run("is searched for what is not accessible", func(t *testing.T) {
		t.Parallel()
		bad := b.Open(t, serve(t, `<main><h1>A page</h1><button></button><p style="color: #999; background: #aaa">pale</p></main>`), Options{})
		r := &recorder{TB: t}
		bad.tb = r
		bad.Accessible()
		if !r.has("button-name") || !r.has("color-contrast") || len(r.said) != 2 {
			t.Errorf("got %q", r.said)
		}
		b.Open(t, serve(t, `<main><h1>A page</h1><button>Go</button></main>`), Options{}).Accessible()
	})
}
