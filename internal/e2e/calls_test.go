package e2e

import (
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// call is one poll or removal as it reached MarkSign.
type call struct {
	by      string // the process
	removal bool
	at      time.Time
}

// calls are all that reached MarkSign, by session.
type calls struct {
	mu      sync.Mutex
	byToken map[string][]call
	// off keeps nothing, for tests with very many polls.
	off bool
	// hold returns a channel that a call waits for before it reaches MarkSign, or
	// nil. The function itself may be nil, and is set before anything calls.
	hold func(by, token string, removal bool) <-chan struct{}
	// instead returns what answers a poll instead of MarkSign, by the number of the
	// poll from 1, or nil. The function itself may be nil, as with hold.
	instead func(token string, nth int) http.HandlerFunc
}

func newCalls() *calls { return &calls{byToken: make(map[string][]call)} }

// front is a process's own way to MarkSign.
func (c *calls) front(by string, markSign http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimSuffix(path.Base(r.URL.Path), ".json")
		removal := r.Method == http.MethodDelete
		c.note(by, token, removal)
		if c.hold != nil {
			if released := c.hold(by, token, removal); released != nil {
				<-released
			}
		}
		if c.instead != nil && !removal {
			if other := c.instead(token, c.polls("", token)); other != nil {
				_, _ = io.Copy(io.Discard, r.Body)
				other(w, r)
				return
			}
		}
		markSign.ServeHTTP(w, r)
	})
}

func (c *calls) note(by, token string, removal bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.off {
		c.byToken[token] = append(c.byToken[token], call{by, removal, time.Now()})
	}
}

// of returns the calls for a session, in the order of their arrival.
func (c *calls) of(token string) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.byToken[token])
}

// polls counts those of a session by a process, or by any where by is "".
func (c *calls) polls(by, token string) int {
	n := 0
	for _, call := range c.of(token) {
		if !call.removal && (by == "" || by == call.by) {
			n++
		}
	}
	return n
}
