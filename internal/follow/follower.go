package follow

import (
	"container/heap"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/fair"
	"github.com/identwatch/identwatch/internal/lease"
)

// Options say how a Follower works. All are required.
type Options struct {
	Tasks    *lease.Queue  // of the sessions' tasks
	Records  Records       // who holds which session
	Lease    time.Duration // how long a session of a dead process waits
	Limit    int           // how many sessions are held at once
	Accounts int           // how many accounts there are
	// Goroutines of each pool.
	Polls, Posts, Hands, Removals int
	Log                           *slog.Logger
}

// Records says who holds a session, by what Redis knows.
type Records interface {
	// HeldByOthers returns which of the sessions this process does not hold.
	HeldByOthers(ctx context.Context, ids []string) (map[string]bool, error)
	// Forget erases what is known of a session whose task an operator deleted
	// before it had its outcome, if this process still holds it.
	Forget(ctx context.Context, id string) error
}

// Follower holds sessions from Start to Stop. It is safe for concurrent use.
type Follower struct {
	opts  Options
	pools [Remove + 1]*pool
	fulls *rate.Limiter // of tasks that found no room
	wake  chan struct{} // the schedule looks at the heap again
	ended chan struct{} // the end loop looks at the ends again

	stopTaking  context.CancelFunc // no step begins any more
	stopPolling context.CancelFunc // polls under way are cut off too
	loops       sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*Session
	counts   map[string]int // of sessions, by account; without those that have none
	due      dueHeap
	ends     []end // of sessions whose work is done
}

// New makes a Follower.
func New(opts Options) *Follower {
	f := &Follower{
		opts:     opts,
		fulls:    rate.NewLimiter(fullRate, fullRate),
		wake:     make(chan struct{}, 1),
		ended:    make(chan struct{}, 1),
		sessions: make(map[string]*Session),
		counts:   make(map[string]int),
	}
	// Each pool has room for every session, so that nothing ever waits to give one
	// to it. Tasks that run at the same moment may be a few more than the limit.
	const surplus = 100
	room := opts.Limit + surplus
	f.pools[Poll] = newPool(f, opts.Polls, room, fair.New(opts.Polls, opts.Accounts))
	f.pools[Post] = newPool(f, opts.Posts, room, nil)
	f.pools[Hand] = newPool(f, opts.Hands, room, nil)
	f.pools[Remove] = newPool(f, opts.Removals, room, fair.New(opts.Removals, opts.Accounts))
	return f
}

// Start runs sessions until Stop. Steps under way are aborted when working is done.
func (f *Follower) Start(working context.Context) {
	taking, stopTaking := context.WithCancel(working)
	polling, stopPolling := context.WithCancel(working)
	f.stopTaking, f.stopPolling = stopTaking, stopPolling
	for kind, p := range f.pools {
		if Kind(kind) == Poll {
			p.start(taking, polling)
			continue
		}
		p.start(taking, working)
	}
	f.loops.Go(func() { f.schedule(taking) })
	f.loops.Go(func() { f.renewLoop(taking) })
	f.loops.Go(func() { f.endLoop(taking) })
}

// Stop gives every session back at once to the other processes, but for those
// whose post or removal is under way: they follow when that is finished and noted.
func (f *Follower) Stop(working context.Context) {
	f.stopTaking()
	f.stopPolling()
	f.loops.Wait()
	f.pools[Poll].wait()
	f.handBack(working)
	for _, p := range f.pools {
		p.wait()
	}
	f.handBack(working)
}

// handBack makes the tasks of all sessions due that no pool has.
func (f *Follower) handBack(ctx context.Context) {
	f.mu.Lock()
	var ends []end
	for _, s := range f.due {
		ends = append(ends, end{id: s.ID})
		f.drop(s)
	}
	f.due = nil
	f.mu.Unlock()
	f.endAll(ctx, append(ends, f.takeEnds()...))
}

// Holds reports whether a session is held.
func (f *Follower) Holds(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, held := f.sessions[id]
	return held
}

// Counts returns how many sessions are held, by account.
func (f *Follower) Counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// Keep renews the lease of a session whose task ran again here, and reports whether
// the session is held: while the task ran, its lease may have ended.
func (f *Follower) Keep(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, held := f.sessions[id]
	if held {
		s.renewed, s.taken = time.Now(), false
	}
	return held
}

// Add takes a session in, with its first step. One that is held is left as it is.
func (f *Follower) Add(id, account string, first Next) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, held := f.sessions[id]; held {
		return
	}
	s := &Session{ID: id, Account: account, step: first.Step, due: first.At, renewed: time.Now()}
	f.sessions[id] = s
	f.counts[account]++
	f.push(s)
}

// Hasten makes the waiting steps of an account due within the spread, if they want
// to. wants is called under the follower's lock.
func (f *Follower) Hasten(account string, spread time.Duration, wants func(Step) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := time.Now()
	for _, s := range f.due {
		if s.Account != account || !wants(s.step) {
			continue
		}
		soon := current.Add(rand.N(spread)) //nolint:gosec // a spread is no secret
		if soon.Before(s.due) {
			s.due = soon
		}
	}
	heap.Init(&f.due)
	signal(f.wake)
}

// Hurry makes the step of a waiting session due now, if it wants to, and reports
// whether it did. wants is called under the follower's lock.
func (f *Follower) Hurry(id string, wants func(Step) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if s == nil || s.place < 0 || !wants(s.step) {
		return false
	}
	s.due = time.Now()
	heap.Fix(&f.due, s.place)
	signal(f.wake)
	return true
}

// put takes a session back from a pool, for its next step. It reports whether the
// session is over because an operator stopped it.
func (f *Follower) put(s *Session, n Next) (stopped bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.follow(s, n)
}

// follow has a session that is in nobody's hand do what comes next. The lock is held.
func (f *Follower) follow(s *Session, n Next) (stopped bool) {
	if n.Step == nil {
		f.drop(s)
		f.ends = append(f.ends, end{s.ID, n.Finished})
		signal(f.ended)
		return false
	}
	s.step, s.due = n.Step, n.At
	if s.isOver() {
		f.drop(s)
		return s.stopped
	}
	f.push(s)
	return false
}

// push puts a session into the heap. The lock is held.
func (f *Follower) push(s *Session) {
	heap.Push(&f.due, s)
	if s.place == 0 {
		signal(f.wake)
	}
}

// signal wakes a loop that may be awake already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// forget erases a session that was stopped, so that it can be enqueued again.
func (f *Follower) forget(ctx context.Context, s *Session) {
	f.opts.Log.Warn("the session's task was deleted or archived; it is no longer followed", "session", s.ID)
	if err := f.opts.Records.Forget(ctx, s.ID); err != nil {
		f.opts.Log.Error("forgetting a session failed", "session", s.ID, "error", err)
	}
}
