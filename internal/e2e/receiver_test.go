package e2e

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// post is one request that reached the receiver.
type post struct {
	by   string // the process
	id   string
	typ  webhook.Type
	body [sha256.Size]byte
	// signed is when it was sent, by the sender's clock, in whole seconds; begun
	// is when it arrived.
	signed time.Time
	begun  time.Time
	// ended is just before the answer went out, or when the sender was gone; zero
	// while the post is under way.
	ended  time.Time
	status int // of the answer; 0 where the sender was gone before
	cut    bool
}

func (p *post) acknowledged() bool { return p.status >= 200 && p.status <= 299 }

// answer is what the receiver says, and after how long.
type answer struct {
	status int // 0 is 204
	after  time.Duration
	header http.Header
	body   []byte
	// deaf answers although the sender is gone: what was said counts.
	deaf bool
	// cut breaks the connection off instead of letting the answer out: the request
	// was read, and what would have been said counts.
	cut bool
}

// receiver is the application's end of the callback. It verifies every request.
type receiver struct {
	verifier webhook.Verifier
	// script says how to answer the nth post of an event, from 1; nil is 204 at
	// once. It is set before anything is posted.
	script func(e webhook.Event, body []byte, nth int) answer

	mu      sync.Mutex
	byToken map[string][]*post
	order   []*post
	faults  []error
}

func newReceiver(v webhook.Verifier) *receiver {
	return &receiver{verifier: v, byToken: make(map[string][]*post)}
}

// front is a process's own way to the receiver.
func (r *receiver) front(by string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		begun := time.Now()
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the sender is gone; it never posted whole
		}
		err = r.verifier.Verify(req.Header, body)
		event, unreadable := webhook.Parse(body)
		if err = cmp.Or(err, unreadable); err != nil {
			r.refuse(w, fmt.Errorf("%w, on the way of %s to %s: %s %s of the session %q",
				err, by, req.Host, req.Method, req.Header.Get(webhook.HeaderID), event.Data.Token))
			return
		}
		p := &post{
			by: by, id: req.Header.Get(webhook.HeaderID), typ: event.Type, body: sha256.Sum256(body), signed: signedAt(req.Header), begun: begun,
		}
		r.reply(w, req, p, r.arrive(p, event, body))
	})
}

func signedAt(h http.Header) time.Time {
	seconds, _ := strconv.ParseInt(h.Get(webhook.HeaderTimestamp), 10, 64)
	return time.Unix(seconds, 0)
}

func (r *receiver) refuse(w http.ResponseWriter, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, err)
	w.WriteHeader(http.StatusUnauthorized)
}

func (r *receiver) arrive(p *post, e webhook.Event, body []byte) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byToken[e.Data.Token] = append(r.byToken[e.Data.Token], p)
	r.order = append(r.order, p)
	if r.script == nil {
		return answer{}
	}
	return r.script(e, body, len(r.byToken[e.Data.Token]))
}

func (r *receiver) reply(w http.ResponseWriter, req *http.Request, p *post, a answer) {
	if a.status == 0 {
		a.status = http.StatusNoContent
	}
	if a.after > 0 {
		timer := time.NewTimer(a.after)
		defer timer.Stop()
		gone := req.Context().Done()
		if a.deaf {
			gone = nil
		}
		select {
		case <-timer.C:
		case <-gone:
			a.status = 0
		}
	}
	r.mu.Lock()
	p.ended, p.status, p.cut = time.Now(), a.status, a.cut
	r.mu.Unlock()
	if a.status == 0 {
		return
	}
	if a.cut {
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// of returns the posts of a session, in the order of their arrival.
func (r *receiver) of(token string) []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]post, len(r.byToken[token]))
	for i, p := range r.byToken[token] {
		list[i] = *p
	}
	return list
}

// posts counts all that reached the receiver.
func (r *receiver) posts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.order)
}

// underWay counts the posts of a process, or of all where by is "", that are not
// answered yet.
func (r *receiver) underWay(by string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.order {
		if (by == "" || p.by == by) && p.ended.IsZero() {
			n++
		}
	}
	return n
}

// refused returns why requests were not accepted.
func (r *receiver) refused() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}
