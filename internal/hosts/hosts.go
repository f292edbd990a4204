package hosts

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/fair"
)

// Options say how many posts may be under way, and how many events may wait.
type Options struct {
	PerHost int // posts to one host at once; required
	Total   int // posts of each Kind at once; required
	// MaxWaiting bounds the events in all lists. Zero: 50,000. One account of several
	// leaves the others a share of it.
	MaxWaiting int
	Accounts   int // how many there are; zero: one
	// MaxPerHost bounds the events in one host's list. Zero: 20,000.
	MaxPerHost int
	Log        *slog.Logger // required
}

// Kind says how often an event was posted already. Each kind has slots of its own,
// so that thousands of repeated posts do not hold up a first one.
type Kind int

// The kinds of posts.
const (
	First Kind = iota
	Repeated
	kinds
)

// Event is one event that is to be posted.
type Event struct {
	ID      string    // no two in the list are the same
	Account string    // whose share of the list it takes
	Host    string    // as the caller names it
	Since   time.Time // its outcome: the oldest goes first
	Kind    Kind
	// Post is called in a goroutine of its own when the event's turn has come. It
	// must release the permit.
	Post func(*Permit)
}

// Pause says when the turn of an event comes.
type Pause struct {
	// Due is when its own pause is over; zero: it waits for nothing but its host. If
	// the host comes back before, or its circuit is open, the event does not sleep it out.
	Due time.Time
	// NotBefore is for what the host's return does not end, because the receiver asked
	// for the pause or the failure was not the host's: the event sleeps until then,
	// whatever happens. Zero: nothing.
	NotBefore time.Time
	// Ends is when it leaves the list, because its task has brought it by then.
	Ends time.Time
}

// Refusal says why a post may not begin now.
type Refusal int

// Why a post may not begin.
const (
	Granted     Refusal = iota
	NoSlot              // as many posts of its kind are under way as may be
	HostBusy            // the same of its host, or older events wait for it
	CircuitOpen         // its host keeps failing
	UnderWay            // a post of the same event is under way in this process
)

// String says it as logs, records and tasks do.
func (r Refusal) String() string {
	return [...]string{
		"a first post could not be made", "as many posts are under way as DELIVERY_CONCURRENCY allows", "as many posts to the receiver's host are under way as are allowed",
		"the receiver's host keeps failing", "another post of the same event is under way",
	}[r]
}

// Place says what Wait did with an event.
type Place int

// What Wait can do.
const (
	Listed     Place = iota // the event's turn will come
	ListFull                // its task alone brings it
	ListClosed              // this process stops: another one has to bring it
)

// hostIdle is after how long an idle host's troubles are forgotten.
const hostIdle = time.Hour

// Hosts are the hosts that events are posted to. It is safe for concurrent use,
// and calls nobody while it holds its lock.
type Hosts struct {
	opts    Options
	running sync.WaitGroup // Posts that the list called

	mu       sync.Mutex
	closed   bool
	byName   map[string]*host
	tidyAt   int                 // how many hosts are known when idle ones are forgotten
	waiting  map[string]*entry   // the lists of all hosts, by the event's ID
	room     *fair.Slots         // of the lists, by account
	underWay map[string]struct{} // IDs of events that are being posted
	posts    [kinds]int          // under way
	came     uint64              // events that joined the list
	hungry   map[*host]struct{}  // hosts that could go on if Total allowed it
}

// New makes a Hosts without any posts.
func New(opts Options) *Hosts {
	opts.MaxWaiting = cmp.Or(opts.MaxWaiting, 50_000)
	opts.MaxPerHost = cmp.Or(opts.MaxPerHost, 20_000)
	return &Hosts{
		opts: opts, byName: make(map[string]*host), tidyAt: 1024, room: fair.New(opts.MaxWaiting, cmp.Or(opts.Accounts, 1)),
		waiting: make(map[string]*entry), underWay: make(map[string]struct{}), hungry: make(map[*host]struct{}),
	}
}

// Acquire gives the right to post the event now, or says at once why not. A
// newcomer does not overtake those that wait. An event that is in the list leaves
// it if the post is granted, and keeps its place if it is not. Post is not called.
func (h *Hosts) Acquire(e Event) (*Permit, Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, posting := h.underWay[e.ID]; posting {
		return nil, UnderWay
	}
	k, now := h.known(e.Host), time.Now()
	if refused := h.refuses(k, e.Kind, now); refused != Granted {
		return nil, refused
	}
	if old := h.waiting[e.ID]; old != nil {
		h.drop(old)
	}
	return h.permit(k, e.ID, e.Kind, now), Granted
}

// Wait puts an event into the list, instead of what the list has of it. Its
// permit must have been released.
func (h *Hosts) Wait(e Event, p Pause) Place {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, now := h.known(e.Host), time.Now()
	place := e.Since
	if old := h.waiting[e.ID]; old != nil {
		if old.queue != &k.asleep {
			place = later(place, old.key) // it was tried since
		}
		h.drop(old)
	}
	switch {
	case h.closed:
		return ListClosed
	case !h.takeRoom(k, e.Account, now):
		return ListFull
	}
	h.came++
	w := &entry{Event: e, host: k, order: h.came, came: now, ends: p.Ends}
	h.waiting[e.ID] = w
	k.listed++
	k.take(w, p, place, now)
	h.serve(k, now)
	return Listed
}

// Leave takes an event out of the list, if it is in it. A post that is under way
// goes on.
func (h *Hosts) Leave(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.waiting[id]; e != nil {
		h.drop(e)
	}
}

// drop takes an entry out of the list; the lock is held.
func (h *Hosts) drop(e *entry) {
	e.queue.remove(e)
	h.forget(e)
}

// forget forgets an entry that is in no queue any more; the lock is held.
func (h *Hosts) forget(e *entry) {
	delete(h.waiting, e.ID)
	h.room.GiveBack(e.Account)
	e.host.listed--
}

const (
	// leastFallback is the least after which a task in Redis comes back to an event
	// that waits in a list, and crowdShare what each that waits adds to it.
	leastFallback = 15 * time.Second
	crowdShare    = 50 * time.Millisecond
	maxBusy       = 2 * time.Minute
	maxOpen       = 10 * time.Minute
)

// Fallback is after how long the task of an event that waits for the host should
// be due, in case this process dies or its list is full: the longer, the longer the
// host has been failing or the more wait for it, so that thousands of tasks load
// Redis little. It also says whether the circuit is open.
func (h *Hosts) Fallback(name string) (after time.Duration, open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.known(name)
	if k.open {
		after = min(max(time.Since(k.failing)/4, leastFallback), maxOpen)
		return after + upTo(after/10), true
	}
	return leastFallback + upTo(min(time.Duration(k.listed)*crowdShare, maxBusy-leastFallback)), false
}

func upTo(spread time.Duration) time.Duration {
	return rand.N(spread + 1) //nolint:gosec // a spread is no secret
}

// Close gives no more turns, and returns the IDs of the repeated events in the list
// that other processes have to bring: all that might go now if their host were back.
// What has its turn goes on; Drain waits for it.
func (h *Hosts) Close() (waited []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	now := time.Now()
	for id, e := range h.waiting {
		if e.Kind == Repeated && !e.soonest.After(now) {
			waited = append(waited, id)
		}
		h.drop(e)
	}
	for _, k := range h.byName {
		if k.timer != nil {
			k.timer.Stop()
		}
	}
	return waited
}

// Drain waits, after Close, until every Post that was called has returned.
func (h *Hosts) Drain() { h.running.Wait() }

// Waiting is how many events are in the list.
func (h *Hosts) Waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// State is that of a host's circuit.
type State string

// The states of a circuit.
const (
	Closed   State = "closed"
	HalfOpen State = "half-open" // a probe is under way
	Open     State = "open"
)

// States counts the hosts by the state of their circuit.
func (h *Hosts) States() map[State]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make(map[State]int)
	for _, k := range h.byName {
		counts[k.state()]++
	}
	return counts
}

// known returns the host, and forgets idle ones if it is new and there are many.
// The lock is held.
func (h *Hosts) known(name string) *host {
	k := h.byName[name]
	if k == nil {
		if len(h.byName) >= h.tidyAt {
			h.tidy()
		}
		k = newHost(name, h.opts)
		h.byName[name] = k
	}
	k.used = time.Now()
	return k
}

func (h *Hosts) tidy() {
	for name, k := range h.byName {
		if k.underWay == 0 && k.listed == 0 && time.Since(k.used) > hostIdle {
			delete(h.byName, name)
		}
	}
	h.tidyAt = max(1024, 2*len(h.byName))
}
