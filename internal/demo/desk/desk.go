package desk

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/marksim"
)

// Options say what is on the server beside the desk. The zero value is nothing.
type Options struct {
	// Links are shown at the head of the page.
	Links []Link
	// Rest serves every path that is not the desk's, behind the same guard. Nil:
	// they are not found. The desk's are / and those that begin with /desk/.
	Rest http.Handler
}

// Link is another page of the same server.
type Link struct {
	Label string
	Path  string // such as /monitor/
}

// desk is one demonstration's page.
type desk struct {
	stage      *stage.Stage
	feed       *feed
	conditions conditions
	happenings int // guarded by the stage, which tells one at a time
}

//go:embed page
var files embed.FS

var index = template.Must(template.ParseFS(files, "page/index.html"))

// New makes the page of a demonstration, and of what else is on its server.
func New(on *stage.Stage, opts Options) http.Handler {
	d := &desk{stage: on, feed: newFeed()}
	d.setConditions(well, well)
	on.Watch(d.watch)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", own(pageOf(opts.Links)))
	mux.Handle("GET /desk/assets/", own(http.StripPrefix("/desk/assets/", http.FileServerFS(assets()))))
	mux.Handle("GET /desk/stream", own(http.HandlerFunc(d.serveStream)))
	mux.Handle("POST /desk/sessions", own(http.HandlerFunc(d.startSession)))
	mux.Handle("POST /desk/sessions/{token}/decision", own(http.HandlerFunc(d.decide)))
	mux.Handle("POST /desk/sessions/{token}/post", own(http.HandlerFunc(d.postNow)))
	mux.Handle("POST /desk/conditions", own(http.HandlerFunc(d.changeConditions)))
	mux.Handle("/desk/", own(http.NotFoundHandler()))
	if opts.Rest != nil {
		mux.Handle("/", opts.Rest)
	}
	return guard(mux)
}

// firstPerson is chosen when the page opens: one who just confirms.
const firstPerson = "20101010001"

// pageOf is the page itself. It says what can be chosen; all else comes in the
// stream.
func pageOf(links []Link) http.Handler {
	var page bytes.Buffer
	err := index.Execute(&page, map[string]any{
		"Links": links, "Persons": marksim.Persons(), "First": firstPerson, "MarkSign": markSignConditions, "Receiver": receiverConditions,
	})
	if err != nil {
		panic(fmt.Sprintf("desk: the page cannot be written: %v", err))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.Bytes())
	})
}

// assets are the page's files but for the page itself, which is a template.
func assets() fs.FS {
	sub, err := fs.Sub(files, "page/assets")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}
