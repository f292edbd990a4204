package stage

import (
	"strings"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
)

// Step is what happened to a session.
type Step int

// The steps. A session takes some of them, and some more than once.
const (
	Started       Step = iota
	Polled             // a poll that has no step of its own
	Waiting            // the first poll found it pending
	Troubled           // a poll met a fault, after one that did not
	Recovered          // a poll met none, after one that did
	Final              // a poll got the outcome
	Decided            // somebody who looks on had the person act
	Posted             // the receiver got the event
	Planned            // the event is to be posted again, or its delivery was given up
	RemovalFailed      // a DELETE met a fault
	Removed
	Refused // a request without a right signature, of no session
)

// Change is one step of a session, and how it stands then.
type Change struct {
	Step     Step
	At       time.Time
	Session  Session
	Delivery receiver.Delivery // with Posted and Refused
}

// board holds how all sessions stand, told by the application, the simulator, the
// receiver and whoever looks on.
type board struct {
	// lookUp asks the simulator about a session that somebody else started.
	lookUp func(token string) (marksim.Snapshot, bool)

	mu       sync.Mutex
	sessions []*Session
	byToken  map[string]*Session
	changes  []Change // that were not taken yet; none of Polled
	watch    func(Change)
}

func newBoard() *board { return &board{byToken: map[string]*Session{}} }

// started adds a session of the application's.
func (b *board) started(p Part, s started) Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	added := b.add(s.Token)
	added.Person, added.Note = p.Person.Name+" "+p.Person.Surname, p.note()
	added.Method, added.Code, added.Checks = string(p.Method), s.ControlCode, p.Checks
	added.StartedAt = time.Now()
	b.tell(Change{Step: Started, At: added.StartedAt, Session: *added})
	return *added
}

// simulated takes note of a poll or a removal at the simulator.
func (b *board) simulated(e marksim.Event) {
	if e.Call != marksim.StatusCalls && e.Call != marksim.RemoveCalls {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(e.Token)
	take := s.removal
	if e.Call == marksim.StatusCalls {
		take = s.polled
	}
	step := take(e)
	b.tell(Change{Step: step, At: e.At, Session: *s})
}

// polled takes note of a poll.
func (s *Session) polled(e marksim.Event) Step {
	before := s.trouble
	s.trouble = e.Kind != marksim.Final && e.Answer != "waiting"
	s.Polls++
	s.PolledAt, s.LastAnswer = e.At, e.Answer
	switch {
	case e.Kind == marksim.Final && s.Answer == "":
		s.Answer, s.FinalAt = e.Answer, e.At
		return Final
	case s.trouble && !before:
		return Troubled
	case before && !s.trouble:
		return Recovered
	case s.Polls == 1:
		return Waiting
	}
	return Polled
}

// removal takes note of a DELETE.
func (s *Session) removal(e marksim.Event) Step {
	s.Removals++
	s.LastRemoval = e.Answer
	if e.Kind != marksim.Removed {
		return RemovalFailed
	}
	s.RemovedAt = e.At
	return Removed
}

// received takes note of a request to the receiver.
func (b *board) received(d receiver.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d.Fault != nil {
		b.tell(Change{Step: Refused, At: d.At, Delivery: d})
		return
	}
	s := b.find(d.Event.Data.Token)
	s.Posts++
	s.PostedAt, s.Outcome, s.Verdict, s.NextAttempt = d.At, summary(d.Event), verdict(d.Event), time.Time{}
	s.Delivered = s.Delivered || d.Status/100 == 2 && d.Delay < deliveryTimeout
	b.tell(Change{Step: Posted, At: d.At, Session: *s, Delivery: d})
}

// planned takes note of what comes of an event that was not delivered. An attempt
// that is due, or under way, is none that is to come.
func (b *board) planned(status admin.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(status.Token)
	next, givenUp := status.NextAttempt, status.State == admin.Undelivered
	if !next.After(time.Now()) {
		next = time.Time{}
	}
	if s.NextAttempt.Equal(next) && s.GivenUp == givenUp {
		return
	}
	s.NextAttempt, s.GivenUp, s.LastError = next, givenUp, status.LastError
	step := Planned
	if next.IsZero() && !givenUp {
		step = Polled
	}
	b.tell(Change{Step: step, At: time.Now(), Session: *s})
}

// decided takes note of what the person was made to do.
func (b *board) decided(token string, d Decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.find(token)
	s.Decided = d
	b.tell(Change{Step: Decided, At: time.Now(), Session: *s})
}

// tell is called with b locked.
func (b *board) tell(c Change) {
	if c.Step != Polled {
		b.changes = append(b.changes, c)
	}
	if b.watch != nil {
		b.watch(c)
	}
}

// find returns a session, a new one where somebody else started it. b is locked.
func (b *board) find(token string) *Session {
	if s := b.byToken[token]; s != nil {
		return s
	}
	added := b.add(token)
	added.StartedAt, added.Note = time.Now(), "started by hand"
	if s, ok := b.lookUp(token); ok {
		added.Method, added.StartedAt = s.Method, s.StartedAt
	}
	return added
}

// add is called with b locked.
func (b *board) add(token string) *Session {
	s := &Session{Number: len(b.sessions) + 1, Token: strings.Clone(token)}
	b.sessions = append(b.sessions, s)
	b.byToken[s.Token] = s
	return s
}

// take returns the changes since it was last called, in their order.
func (b *board) take() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := b.changes
	b.changes = nil
	return changes
}

// all returns how the sessions stand, in the order of their start.
func (b *board) all() []Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	sessions := make([]Session, len(b.sessions))
	for i, s := range b.sessions {
		sessions[i] = *s
	}
	return sessions
}

// removed counts those of the sessions that were removed.
func (b *board) removed(tokens []string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, token := range tokens {
		if b.find(token).Done() {
			n++
		}
	}
	return n
}
