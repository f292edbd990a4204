package monitor

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxCalls = 8         // at once: the connections are the worker's too
	maxTasks = 500       // of one call; the page asks for 100 at most
	maxPage  = 1_000_000 // of a list
)

// serveCall answers one of the page's own calls.
func (m *monitor) serveCall(w http.ResponseWriter, r *http.Request, call string) {
	select {
	case m.calls <- struct{}{}:
		defer func() { <-m.calls }()
	case <-r.Context().Done():
		return
	}
	switch call {
	case "metrics": // a Prometheus would have to be named to asynqmon
		http.NotFound(w, r)
	case "redis_info":
		m.serveRedis(w, r)
	default:
		m.forward(w, r, call)
	}
}

// forward has asynqmon answer the call.
func (m *monitor) forward(w http.ResponseWriter, r *http.Request, call string) {
	a := m.ask(bounded(r))
	kind := a.header.Get("Content-Type")
	switch {
	case a.status >= http.StatusInternalServerError:
		m.log.Warn("a call of the monitor failed", "call", call, "status", a.status, "error", strings.TrimSpace(a.body.String()))
	case kind == "" && a.body.Len() > 0 && !bytes.HasPrefix(a.body.Bytes(), []byte("{")):
		http.NotFound(w, r) // asynqmon answers with its page where it knows no such call
		return
	case kind == "" && a.body.Len() > 0:
		kind = "application/json"
	}
	if kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

// bounded returns the request with bounds on the list that it asks for: Redis
// does nothing else while it gathers one, and asynq takes a size of 0 for all.
func bounded(r *http.Request) *http.Request {
	query := r.URL.Query()
	bound(query, "size", maxTasks)
	bound(query, "page", maxPage)
	r = r.Clone(r.Context())
	r.URL.RawQuery = query.Encode()
	return r
}

// bound brings a number within 1 and most. What is no number is taken out.
func bound(query url.Values, name string, most int) {
	if !query.Has(name) {
		return
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		query.Del(name)
		return
	}
	query.Set(name, strconv.Itoa(min(max(n, 1), most)))
}

// ask has asynqmon answer a request, and holds the answer. They are small: the
// largest is a script of 1 MB.
func (m *monitor) ask(r *http.Request) *answer {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	a := &answer{status: http.StatusOK, header: make(http.Header)}
	m.asynqmon.ServeHTTP(a, r)
	return a
}

// pageRequest asks for asynqmon's page.
func pageRequest() *http.Request {
	return (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: Path}}).WithContext(context.Background())
}

// answer is what asynqmon answered.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
