// Package receiver is a webhook receiver that verifies every request and
// remembers how often, and how well, each event came. With its knobs it plays
// one that fails or is slow. It keeps no body and nothing of a person.
//
// Read receiver.go, then report.go.
package receiver

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// Options say how a Receiver answers.
type Options struct {
	Verifier webhook.Verifier // required
	Conduct                   // until SetConduct
	// OnDelivery is called for each request, before it is answered, and by
	// concurrent requests concurrently. Nil: nobody is told.
	OnDelivery func(Delivery)
}

// Conduct is how a Receiver answers. The zero value answers at once, with 204.
type Conduct struct {
	Answer int           // HTTP status to verified requests; 0 is 204
	Delay  time.Duration // before every answer
	HangUp bool          // closes the connection in place of every answer
}

// Delivery is one request, as it came.
type Delivery struct {
	At     time.Time
	ID     string // "" unless the signature was right
	Event  webhook.Event
	Header http.Header
	Body   []byte
	Count  int           // which request of this id it is, from 1; 0 without an id
	Fault  error         // why it was not accepted; nil where it was
	Status int           // the answer; 0 where the connection is closed instead
	Delay  time.Duration // before the answer
}

// Receiver is an http.Handler that takes every POST for a delivery.
type Receiver struct {
	opts Options

	mu      sync.Mutex
	conduct Conduct
	events  map[string]*Seen
	order   []*Seen
	bad     int
}

// Seen is what came of one event. It holds nothing of a person.
type Seen struct {
	ID         string       `json:"id"`
	Type       webhook.Type `json:"type"`
	Token      string       `json:"token"`
	ReceivedAt time.Time    `json:"received_at"`        // the first request
	AckedAt    time.Time    `json:"acked_at,omitzero"`  // the first 2xx, just before it was written
	Count      int          `json:"count"`              // requests
	Acked      int          `json:"acked"`              // of them answered 2xx
	Overlaps   int          `json:"overlaps,omitempty"` // requests that came while another was not answered yet
	Verified   bool         `json:"verified"`

	open int // requests not answered yet
}

// New makes a Receiver that has seen nothing.
func New(opts Options) *Receiver {
	return &Receiver{opts: opts, conduct: opts.Conduct, events: map[string]*Seen{}}
}

// SetConduct says how requests are answered that arrive from now on.
func (r *Receiver) SetConduct(c Conduct) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conduct = c
}

// Events returns what came of each event, in the order of their first requests,
// and how many requests were not accepted.
func (r *Receiver) Events() (events []Seen, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.order {
		events = append(events, *s)
	}
	return events, r.bad
}

// ServeHTTP verifies a request and answers it: 401 where the signature is not
// right, 400 where what is signed is no event.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "events are posted", http.StatusMethodNotAllowed)
		return
	}
	d := r.read(req)
	r.arrive(&d)
	if r.opts.OnDelivery != nil {
		r.opts.OnDelivery(d)
	}
	waited := pause(req, d.Delay)
	r.finish(d, waited)
	if d.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(d.Status)
}

func (r *Receiver) read(req *http.Request) Delivery {
	conduct := r.currentConduct()
	d := Delivery{At: time.Now(), Header: req.Header, Status: cmp.Or(conduct.Answer, http.StatusNoContent), Delay: conduct.Delay}
	if conduct.HangUp {
		d.Status = 0
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, req.Body, webhook.MaxBody))
	if err != nil {
		d.Fault, d.Status = webhook.ErrBody, http.StatusRequestEntityTooLarge
		return d
	}
	d.Body = body
	if d.Fault = r.opts.Verifier.Verify(req.Header, body); d.Fault != nil {
		d.Status = http.StatusUnauthorized
		return d
	}
	d.ID = req.Header.Get(webhook.HeaderID)
	if d.Event, d.Fault = webhook.Parse(body); d.Fault != nil {
		d.Status = http.StatusBadRequest
	}
	return d
}

func (r *Receiver) currentConduct() Conduct {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conduct
}

// arrive counts a request.
func (r *Receiver) arrive(d *Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.Fault != nil {
		r.bad++
	}
	if d.ID == "" {
		return
	}
	s := r.events[d.ID]
	if s == nil {
		s = &Seen{ID: d.ID, Type: d.Event.Type, Token: d.Event.Data.Token, ReceivedAt: d.At, Verified: true}
		r.events[d.ID] = s
		r.order = append(r.order, s)
	}
	if s.open > 0 {
		s.Overlaps++
	}
	s.Count++
	s.open++
	d.Count = s.Count
}

// finish notes that a request is about to be answered, or that nobody waits for
// the answer any more.
func (r *Receiver) finish(d Delivery, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.events[d.ID]
	if s == nil {
		return
	}
	s.open--
	if !answered || d.Status < 200 || d.Status > 299 {
		return
	}
	s.Acked++
	if s.AckedAt.IsZero() {
		s.AckedAt = time.Now()
	}
}

// pause waits, and reports whether the sender did too.
func pause(req *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-req.Context().Done():
		return false
	}
}

// Verdict says in a word or two how a request's signature was.
func (d Delivery) Verdict() string {
	switch {
	case d.Fault == nil:
		return "verified"
	case errors.Is(d.Fault, webhook.ErrEvent):
		return "verified, but no event"
	default:
		return "NOT verified"
	}
}

// Answered says in a few words how a request is answered.
func (d Delivery) Answered() string {
	text := fmt.Sprintf("answered %d", d.Status)
	if d.Status == 0 {
		text = "not answered, the connection closed"
	}
	if d.Delay > 0 {
		text += fmt.Sprintf(" after %v", d.Delay)
	}
	return text
}
