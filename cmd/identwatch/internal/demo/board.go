package demo

import (
	"sync"
	"time"

	"github.com/identwatch/identwatch/cmd/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// row is how one session stands.
type row struct {
	number int // from 1
	token  string
	person string // "" for a session that somebody else started
	note   string // what the person does
	method string // smart_id or mobile_id
	code   string // the control code

	startedAt time.Time
	polls     int
	answer    string // MarkSign's final one, in short; "" until there is one
	outcome   string // what the event says
	posts     int
	postedAt  time.Time
	removedAt time.Time
}

// step is what happened to a session.
type step int

const (
	stepStarted step = iota
	stepWaiting      // the first poll found it pending
	stepFinal
	stepPosted
	stepRemoved
	stepRefused // a request without a right signature, of no session
)

// change is one step of a session, and how it stands then.
type change struct {
	step     step
	at       time.Time
	row      row
	delivery receiver.Delivery // with stepPosted and stepRefused
}

// board holds how all sessions stand, told by the application, the simulator and
// the receiver.
type board struct {
	// lookUp asks the simulator about a session that somebody else started.
	lookUp func(token string) (marksim.Snapshot, bool)

	mu      sync.Mutex
	rows    []*row
	changes []change // that were not taken yet
}

// started adds a session of the application's.
func (b *board) started(p part, s started) (number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.add(s.Token)
	r.person, r.note = p.person.Name+" "+p.person.Surname, p.person.Note
	r.method, r.code, r.startedAt = string(p.method), s.ControlCode, time.Now()
	b.changes = append(b.changes, change{step: stepStarted, at: r.startedAt, row: *r})
	return r.number
}

// simulated takes note of a poll or a removal at the simulator.
func (b *board) simulated(e marksim.Event) {
	if e.Kind != marksim.Polled && e.Kind != marksim.Final && e.Kind != marksim.Removed {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.find(e.Token)
	switch e.Kind {
	case marksim.Polled:
		if r.polls++; r.polls == 1 {
			b.changes = append(b.changes, change{step: stepWaiting, at: e.At, row: *r})
		}
	case marksim.Final:
		r.polls++
		if r.answer == "" {
			r.answer = e.Answer
			b.changes = append(b.changes, change{step: stepFinal, at: e.At, row: *r})
		}
	default:
		r.removedAt = e.At
		b.changes = append(b.changes, change{step: stepRemoved, at: e.At, row: *r})
	}
}

// received takes note of a request to the receiver.
func (b *board) received(d receiver.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d.Fault != nil {
		b.changes = append(b.changes, change{step: stepRefused, at: d.At, delivery: d})
		return
	}
	r := b.find(d.Event.Data.Token)
	r.posts++
	r.postedAt, r.outcome = d.At, summary(d.Event)
	b.changes = append(b.changes, change{step: stepPosted, at: d.At, row: *r, delivery: d})
}

// find returns a session's row, a new one for a session that somebody else
// started. b is locked.
func (b *board) find(token string) *row {
	for _, r := range b.rows {
		if r.token == token {
			return r
		}
	}
	r := b.add(token)
	r.startedAt = time.Now()
	if s, ok := b.lookUp(token); ok {
		r.method, r.startedAt = s.Method, s.StartedAt
	}
	return r
}

// add is called with b locked.
func (b *board) add(token string) *row {
	r := &row{number: len(b.rows) + 1, token: token}
	b.rows = append(b.rows, r)
	return r
}

// take returns the changes since it was last called, in their order.
func (b *board) take() []change {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

// all returns how the sessions stand, in the order of their start.
func (b *board) all() []row {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := make([]row, len(b.rows))
	for i, r := range b.rows {
		rows[i] = *r
	}
	return rows
}

// removed counts the application's sessions that were removed.
func (b *board) removed() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.person != "" && r.done() {
			n++
		}
	}
	return n
}

// summary is an event in two or three words.
func summary(e webhook.Event) string {
	if e.Type == webhook.Failed && e.Data.Error != nil {
		return words[e.Type] + ": " + e.Data.Error.Reason
	}
	peps := e.Data.PEPs != nil && e.Data.PEPs.Result == webhook.Hit
	sanctions := e.Data.Sanctions != nil && e.Data.Sanctions.Result == webhook.Hit
	switch {
	case peps && sanctions:
		return words[e.Type] + ", PEP + sanctions"
	case peps:
		return words[e.Type] + ", PEP"
	case sanctions:
		return words[e.Type] + ", sanctions"
	}
	return words[e.Type]
}

var words = map[webhook.Type]string{
	webhook.Completed: "identified", webhook.Refused: "refused", webhook.Expired: "expired", webhook.Failed: "failed",
}

// methodNames are how people call the methods.
var methodNames = map[string]string{string(tasks.SmartID): "Smart-ID", string(tasks.MobileID): "Mobile-ID"}
