package worker

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	sess "github.com/identwatch/identwatch/internal/session"
)

// follower holds the sessions that this process follows: one heap of due times,
// and a bounded pool each for polls, posts and the rest. A session is in the
// heap, or in a pool's hand, and never has a goroutine of its own.
type follower struct {
	*Worker

	polls, posts, hands, removals, ends pool
	stopTaking                          context.CancelFunc // of steps
	stopPolling                         context.CancelFunc // also of polls under way
	loops                               sync.WaitGroup     // scheduling and renewing
	limit                               *rate.Limiter      // of polls
	fulls                               *rate.Limiter      // of tasks that found no room
	rejections                          rate.Sometimes     // bounds the log of rejected polls
	replicas                            replicas

	mu       sync.Mutex
	sessions map[string]*session
	counts   map[*account]int // of sessions, without those that have none
	due      dueHeap
	posting  int     // sessions that the posts pool has
	polling  *shares // sessions that the polls pool has
	removing *shares // sessions that the removals pool has
	claims   int     // numbers the claimants
	wake     chan struct{}
}

const (
	// removeWorkers bounds the first DELETEs, and handWorkers the hand-overs to
	// webhook:deliver, which wait for nothing but Redis.
	removeWorkers = 32
	handWorkers   = 32
	// postPatience is for how long a first post waits for a free slot before
	// webhook:deliver gets it, and slotPause how often the wait looks.
	postPatience = time.Second
	slotPause    = 50 * time.Millisecond
)

func newFollower(w *Worker) *follower {
	f := &follower{
		Worker:   w,
		sessions: make(map[string]*session),
		counts:   make(map[*account]int),
		fulls:    rate.NewLimiter(fullRate, fullRate),
		polling:  newShares(w.opts.PollWorkers, w.accounts),
		removing: newShares(removeWorkers, w.accounts),
		wake:     make(chan struct{}, 1),
		limit:    rate.NewLimiter(rate.Inf, 1),

		rejections: rate.Sometimes{Interval: 10 * time.Second},
	}
	if w.opts.PollRate > 0 {
		f.limit = rate.NewLimiter(rate.Limit(w.opts.PollRate), max(1, int(w.opts.PollRate/10)))
	}
	size := w.opts.FollowLimit + followConcurrency
	f.polls = newPool(f, w.opts.PollWorkers, size, f.poll)
	f.posts = newPool(f, w.opts.DeliveryConcurrency, size, f.post)
	f.hands = newPool(f, handWorkers, size, f.handSealed)
	f.removals = newPool(f, removeWorkers, size, f.removeStep)
	f.ends = pool{work: make(chan *session, size)}
	return f
}

// start runs the follower until stop. Steps under way are aborted when working
// is done.
func (f *follower) start(working context.Context) {
	taking, stopTaking := context.WithCancel(working)
	polling, stopPolling := context.WithCancel(working)
	f.stopTaking, f.stopPolling = stopTaking, stopPolling
	f.polls.start(taking, polling)
	f.posts.start(taking, working)
	f.hands.start(taking, working)
	f.removals.start(taking, working)
	f.loops.Go(func() { f.schedule(taking) })
	f.loops.Go(func() { f.renewLoop(taking) })
	f.loops.Go(func() { f.endLoop(taking) })
}

// stop hands every session back at once, but for those whose post or removal is
// under way, which are handed back when that is finished and noted.
func (f *follower) stop(working context.Context) {
	f.stopTaking()
	f.stopPolling()
	f.loops.Wait()
	f.polls.wait()
	f.handBack(working)
	f.posts.wait()
	f.hands.wait()
	f.removals.wait()
	f.handBack(working)
}

func (f *follower) holds(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, held := f.sessions[id]
	return held
}

func (f *follower) countByAccount() map[*account]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// keep renews a session that is held and whose task ran again here.
func (f *follower) keep(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, held := f.sessions[id]; held {
		s.renewed, s.taken = time.Now(), false
	}
}

// add takes a session in. One that is held already is left as it is.
func (f *follower) add(job sess.Job, account *account, r outcome.Record, at next) {
	current := time.Now()
	age := max(r.Now.Sub(r.Started), 0) // Redis's clock may have stepped back
	s := &session{
		Job: job, account: account, id: job.ID(), receiver: account.receiver(job),
		start: current.Add(-age), deadline: current.Add(f.opts.SessionTimeout - age),
		step: at.step, due: at.at, renewed: current,
		unusables: r.Unusables, unusable: r.Unusable, answered: r.Unusables > 0,
	}
	if begun := job.StartedAt; !begun.IsZero() && begun.Before(s.start) {
		s.start = begun
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, held := f.sessions[s.id]; held {
		return
	}
	f.claims++
	s.claimant = fmt.Sprintf("%s.%d", f.holder, f.claims)
	f.keepSession(s)
	f.push(s)
}

// resumeAccount polls the sessions soon that waited because MarkSign rejected
// their account.
func (f *follower) resumeAccount(a *account) {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := time.Now()
	for _, s := range f.due {
		if s.account == a && s.step == stepPoll && (s.held || s.troubled == marksign.Rejected) {
			s.trouble = nil
			s.due = earlier(s.due, current.Add(rand.N(takeoverBurst))) //nolint:gosec // a spread is no secret
		}
	}
	heap.Init(&f.due)
	f.wakeUp()
}

// push puts a session into the heap; the lock is held.
func (f *follower) push(s *session) {
	heap.Push(&f.due, s)
	if s.place == 0 {
		f.wakeUp()
	}
}

// wakeUp has the schedule look at the heap.
func (f *follower) wakeUp() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// put takes a session back from a pool, for its next step.
// It reports whether the session is over because an operator stopped it.
func (f *follower) put(s *session, n next) (stopped bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s.step {
	case stepPoll:
		f.polling.giveBack(s.account)
	case stepPost:
		f.posting--
	case stepRemove:
		f.removing.giveBack(s.account)
	}
	s.step, s.due = n.step, n.at
	if f.isOver(s) {
		f.drop(s)
		return s.stopped
	}
	f.push(s)
	return false
}

// isOver reports whether a session that waits is none of this worker's any
// more. A result in hand is always brought to its end.
func (f *follower) isOver(s *session) bool {
	switch s.step {
	case stepPoll:
		return s.stopped || s.taken
	case stepRemove:
		return s.taken
	}
	return false
}

// handBack makes the tasks of all sessions that are in nobody's hand due at
// once, for other workers to take.
func (f *follower) handBack(ctx context.Context) {
	f.mu.Lock()
	var ids []string
	for _, s := range f.due {
		ids = append(ids, s.id)
		f.drop(s)
	}
	f.due = nil
	f.mu.Unlock()
	ids = append(ids, f.ends.drain()...)
	f.release(ctx, ids)
}
