package api

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/retryafter"
	"github.com/identwatch/identwatch/internal/session"
)

const (
	// countEvery is how long a count is used. One that took long is used for
	// longer, so that counting takes no more than a fifth of the time.
	countEvery = time.Second
	countShare = 5
	// countPatience is how long a request waits for a count. Without one, it is
	// not refused: the bound protects the service, and a person waits.
	countPatience = time.Second
	// countTimeout ends a count.
	countTimeout = time.Minute
	// comeAgain is the Retry-After of a request that was over the bound.
	comeAgain = 5 * time.Second
)

// census bounds the outstanding sessions of each account: those whose follow task
// waits or runs, whoever enqueued them. What it knows is a count of Redis's, and
// what this process enqueued since that count began, so that it may be over the
// truth by what ended since, and under it by what others enqueued.
//
// A request asks Redis for nothing while a count is fresh. A count is at first the
// size of the queue, which bounds every account's. Only if that is over the
// bound the tasks are counted by account.
type census struct {
	limit    int // 0: no bound
	sessions *admin.Sessions
	every    time.Duration
	patience time.Duration
	log      *slog.Logger

	mu       sync.Mutex
	accounts map[string]*outstanding
	all      int           // outstanding sessions of all accounts
	kind     countKind     // of the last count
	until    time.Time     // when the last count is to be made again
	running  chan struct{} // closed when the count ends that is being made; else nil
}

// countKind is what a count knows.
type countKind int

const (
	unknown   countKind = iota // Redis could not be asked
	bySize                     // how many there are
	byAccount                  // how many each account has
)

// outstanding is what is known of one account.
type outstanding struct {
	counted  int // by the last count
	own      int // enqueued by this process since that began, or being enqueued
	next     int // the same for the count that is being made
	underWay int // being enqueued: no count is sure to have them
}

func newCensus(limit int, sessions *admin.Sessions, accounts []Account, log *slog.Logger) *census {
	c := &census{
		limit: limit, sessions: sessions, every: countEvery, patience: countPatience,
		log: log, accounts: make(map[string]*outstanding, len(accounts)),
	}
	for _, a := range accounts {
		c.accounts[a.Name] = new(outstanding)
	}
	return c
}

// admit takes room for sessions of an account that are about to be enqueued. Those
// that are known in Redis need none: they are duplicates, and are answered as
// such. It takes room for all or for none: then it returns a *Problem, while other
// errors are Redis's. The caller calls settle, once, with how many went in.
func (c *census) admit(ctx context.Context, account string, names []session.Name) (settle func(entered int), err error) {
	if c.limit == 0 {
		return func(int) {}, nil
	}
	needed := len(names)
	if !c.reserve(ctx, account, needed) {
		known, err := c.sessions.Known(ctx, names)
		if err != nil {
			return nil, err
		}
		if needed -= known; needed > c.limit {
			return nil, invalid(faults{list: []FieldError{{"sessions", "has more new sessions than MAX_SESSIONS allows: " + strconv.Itoa(c.limit)}}})
		}
		if !c.reserve(ctx, account, needed) {
			return nil, c.problem(account)
		}
	}
	return func(entered int) { c.settle(account, needed, entered) }, nil
}

// reserve takes room for n sessions, if there is so much.
func (c *census) reserve(ctx context.Context, account string, n int) bool {
	for _, kind := range []countKind{bySize, byAccount} {
		c.refresh(ctx, kind)
		if c.tryReserve(account, n) {
			return true
		}
	}
	return false
}

func (c *census) tryReserve(account string, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[account]
	if n > 0 && c.left(a) < n {
		return false
	}
	a.own += n
	a.next += n
	a.underWay += n
	return true
}

// left is how many sessions more an account may have. The lock is held.
func (c *census) left(a *outstanding) int {
	switch c.kind {
	case bySize:
		return c.limit - c.all - a.own
	case byAccount:
		return c.limit - a.counted - a.own
	default:
		return c.limit
	}
}

// settle gives back the room of sessions that were not enqueued.
func (c *census) settle(account string, reserved, entered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[account]
	a.underWay -= reserved
	a.own -= reserved - entered
	a.next -= reserved - entered
}

// problem is the answer to a request for which there is no room.
func (c *census) problem(account string) *Problem {
	c.mu.Lock()
	left := max(c.left(c.accounts[account]), 0)
	c.mu.Unlock()
	return errOutstanding.with("Retry-After", retryafter.Format(comeAgain)).
		with("RateLimit-Policy", `"sessions";q=`+strconv.Itoa(c.limit)).
		with("RateLimit", `"sessions";r=`+strconv.Itoa(left))
}

// refresh returns when there is a fresh count of a kind or a better one, or none
// could be had in time.
func (c *census) refresh(ctx context.Context, kind countKind) {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	for {
		running := c.begin(ctx, kind)
		if running == nil {
			return
		}
		select {
		case <-running:
		case <-ctx.Done():
			c.forget()
			return
		}
	}
}

// begin makes sure that a count is being made, and returns what is closed when it
// has ended; nil if the last one will do. A request that has gone stops no count:
// others wait for it.
func (c *census) begin(ctx context.Context, kind countKind) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) && (c.kind >= kind || c.kind == unknown) {
		return nil
	}
	if c.running == nil {
		c.running = make(chan struct{})
		for _, a := range c.accounts {
			a.next = a.underWay
		}
		go c.count(context.WithoutCancel(ctx), kind)
	}
	return c.running
}

// count makes a count.
func (c *census) count(ctx context.Context, kind countKind) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	began := time.Now()
	var of map[string]int
	all, err := c.sessions.Outstanding(ctx)
	if err == nil && kind == byAccount {
		of, err = c.sessions.OutstandingOf(ctx, slices.Collect(maps.Keys(c.accounts)))
	}
	if err != nil {
		kind = unknown
		c.log.Warn("cannot count the sessions that are not finished: until then no request is refused for MAX_SESSIONS", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kind, c.all, c.until = kind, all, began.Add(max(c.every, countShare*time.Since(began)))
	for name, a := range c.accounts {
		a.counted, a.own = of[name], a.next
	}
	close(c.running)
	c.running = nil
}

// forget drops a count that is no longer fresh.
func (c *census) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.until) {
		c.kind = unknown
	}
}
