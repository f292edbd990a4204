package worker

import (
	"container/heap"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	sess "github.com/identwatch/identwatch/internal/session"
)

// step is what a followed session waits for.
type step int

const (
	stepPoll   step = iota // the next poll
	stepPost               // the first post of its event
	stepHand               // a word to webhook:deliver that it has to post
	stepRemove             // the DELETE at MarkSign
	stepEnd                // the end of its task
)

// next says what a session does after a step, and when.
type next struct {
	step step
	at   time.Time
}

func now(s step) next                     { return next{s, time.Now()} }
func in(after time.Duration, s step) next { return next{s, time.Now().Add(after)} }

// session is a followed session in memory. While a pool works on its step, that
// goroutine alone touches it; the fields under "scheduling" belong to the
// follower's lock.
type session struct {
	sess.Job
	account  *account
	id       string
	receiver string  // of its event, as hosts name it
	claimant string  // of its posts
	permit   *permit // of the post that is under way
	refused  refusal // why its first post was not made
	// refusedFor is for how long the host's open circuit wants no post; else zero.
	refusedFor time.Duration

	start    time.Time // what the pace counts from
	deadline time.Time

	polls        int
	answered     bool                        // MarkSign knew the session
	notFound     time.Time                   // since when it did not
	certificates int                         // answers that the certificate took too long
	unusables    int                         // ok answers that could not be used, since the last good answer
	unusable     string                      // what was wrong with the last of them
	trouble      *backoff.ExponentialBackOff // nil while all is well
	troubled     marksign.Verdict            // the last answer, where it was no good one
	cause        string                      // of the last trouble that is in the record
	warned       bool                        // of a status that is not known
	held         bool                        // its last poll was not made, for the account is rejected

	result *outcome.Result // final, and not known to be delivered
	final  time.Time       // when the result was known here
	panics int
	defect bool // its removal cannot be done here

	// scheduling
	step    step
	due     time.Time
	place   int // in the heap, -1 where it is in hand
	renewed time.Time
	stopped bool // its task is gone: poll no more
	taken   bool // somebody else follows it
}

func (s *session) record() outcome.Session { return outcome.Of(s.Job) }

// dueHeap orders sessions by when their next step is due.
type dueHeap []*session

var _ heap.Interface = (*dueHeap)(nil)

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is called by container/heap.
func (h *dueHeap) Push(x any) {
	s := x.(*session) //nolint:forcetypeassert // the heap holds nothing else
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
