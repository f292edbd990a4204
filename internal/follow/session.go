package follow

import (
	"container/heap"
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/lease"
)

// Kind says which pool runs a step.
type Kind int

// The kinds of steps.
const (
	Poll   Kind = iota // one poll; ends when the session is taken over or stopped
	Post               // one post of the event
	Hand               // one note that leaves the post to a queue
	Remove             // one DELETE; ends when the session is taken over
)

// Step is the state of a session: what it waits to do. At any moment one goroutine
// at most has the step in hand.
type Step interface {
	Kind() Kind
	// Run does the step once, and says what the session does next.
	Run(ctx context.Context) Next
	// AfterDefect says what the session does next after Run panicked three times.
	AfterDefect() Next
}

// Admitted is a step that needs more than a free goroutine of its pool.
type Admitted interface {
	Step
	// Admit is asked when the step is due, and says whether it may run now. If not,
	// it says what the session does instead. It is called under the follower's lock:
	// it must neither wait nor call the follower.
	Admit() (instead Next, may bool)
}

// Next says what a session does next, and when. Without a step its work is done:
// then its task is finished, or without Finished is run once more, and that run ends it.
type Next struct {
	Step     Step
	At       time.Time
	Finished *lease.Finished
}

// Now is a step that is due now.
func Now(s Step) Next { return Next{Step: s, At: time.Now()} }

// In is a step that is due after a while.
func In(after time.Duration, s Step) Next { return Next{Step: s, At: time.Now().Add(after)} }

// End is the end of a session's work here; a run of its task says what is left to do.
func End() Next { return Next{} }

// Finish is the end of a session's work, with which its task is finished; nil is [End].
func Finish(t *lease.Finished) Next { return Next{Finished: t} }

// Session is one followed session. Everything but the name belongs to the
// follower's lock.
type Session struct {
	ID      string // of its task
	Account string

	step    Step
	due     time.Time
	place   int // in the heap, -1 while a pool has it
	renewed time.Time
	stopped bool // its task is gone: nobody wants it polled
	taken   bool // another process follows it
	panics  int  // of its step, in a row
}

// isOver reports whether a session that waits is no longer this process's. What
// is being posted is always brought to its end.
func (s *Session) isOver() bool {
	switch s.step.Kind() {
	case Poll:
		return s.stopped || s.taken
	case Remove:
		return s.taken
	}
	return false
}

// dueHeap orders sessions by when their next step is due.
type dueHeap []*Session

var _ heap.Interface = (*dueHeap)(nil)

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is called by container/heap.
func (h *dueHeap) Push(x any) {
	s := x.(*Session) //nolint:forcetypeassert // the heap holds nothing else
	s.place = len(*h)
	*h = append(*h, s)
}

// Pop is called by container/heap.
func (h *dueHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.place = -1
	return s
}
