package worker

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/webhook"
)

const (
	// circuitFailures in a row, within circuitWindow, open a host's circuit.
	circuitFailures = 10
	circuitWindow   = time.Minute
	// circuitPause is between two posts that try whether the host is back.
	circuitPause = 15 * time.Second
	// hostIdle is after how long an idle host's troubles are forgotten.
	hostIdle = time.Hour
)

// hosts keeps one receiver that is slow or down from harming the others: it
// bounds the posts that are under way to a host, and opens the circuit of a host
// that keeps failing. To each account a host is one of its own, so that none can
// stop another's events. It is safe for concurrent use.
type hosts struct {
	limit int
	log   *slog.Logger

	mu     sync.Mutex
	byName map[string]*host
	tidyAt int // how many hosts are known when idle ones are forgotten
}

// host is guarded by the lock of hosts, and so are the calls of its circuit.
type host struct {
	circuit  *gobreaker.TwoStepCircuitBreaker[webhook.Result]
	underWay int
	failing  time.Time // since when the circuit has not been closed; zero while it is
	used     time.Time
	crowd    crowd
}

func newHosts(limit int, log *slog.Logger) *hosts {
	return &hosts{limit: limit, log: log, byName: make(map[string]*host), tidyAt: 1024}
}

// refusal says why a post may not begin now.
type refusal int

const (
	granted refusal = iota
	noSlot
	hostBusy
	circuitOpen
)

func (r refusal) String() string {
	return [...]string{
		"a first post could not be made", "as many posts are under way as DELIVERY_CONCURRENCY allows", "as many posts to the receiver's host are under way as are allowed", "the receiver's host keeps failing",
	}[r]
}

// permit is the right to one post. It is given back by release.
type permit struct {
	hosts *hosts
	host  *host
	done  func(error) // of the circuit; nil once it was told
}

// errNotPosted is what a permit came to that was not used.
var errNotPosted = errors.New("nothing was posted")

// acquire gives the right to one post to the host, or says at once why not. The
// wait is how long to stay away where the circuit is open. It is decided here, under
// the lock that refused: a moment later the circuit may be closed.
func (h *hosts) acquire(name string) (p *permit, why refusal, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known(name)
	known.used = time.Now()
	if known.underWay >= h.limit {
		return nil, hostBusy, 0
	}
	done, err := known.circuit.Allow()
	if err != nil {
		return nil, circuitOpen, known.circuitPause()
	}
	known.underWay++
	return &permit{hosts: h, host: known, done: done}, granted, 0
}

// known returns the host, and forgets idle ones where it is new and there are
// many. The lock is held.
func (h *hosts) known(name string) *host {
	if known, ok := h.byName[name]; ok {
		return known
	}
	if len(h.byName) >= h.tidyAt {
		h.tidy()
	}
	added := &host{}
	added.circuit = gobreaker.NewTwoStepCircuitBreaker[webhook.Result](gobreaker.Settings{
		Name: name, Interval: circuitWindow, Timeout: circuitPause,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= circuitFailures },
		IsExcluded:    func(err error) bool { return errors.Is(err, errNotPosted) },
		OnStateChange: h.changed,
	})
	h.byName[name] = added
	return added
}

func (h *hosts) tidy() {
	for name, known := range h.byName {
		if known.underWay == 0 && time.Since(known.used) > hostIdle {
			delete(h.byName, name)
		}
	}
	h.tidyAt = max(1024, 2*len(h.byName))
}

// changed is called by a circuit. The lock is held.
func (h *hosts) changed(name string, from, to gobreaker.State) {
	known := h.byName[name]
	switch {
	case to == gobreaker.StateClosed:
		h.log.Info("a receiver's host is back; posts to it go on", "receiver", name, "failed_for", time.Since(known.failing).Round(time.Second).String())
		known.failing = time.Time{}
	case from == gobreaker.StateClosed:
		known.failing = time.Now()
		h.log.Warn("a receiver's host keeps failing; posts to it wait, but for one now and then", "receiver", name)
	}
}

// report says what the post came to, for the circuit.
func (p *permit) report(r webhook.Result) {
	var failure error
	switch {
	case r.Cause != webhook.CauseReceiver:
		failure = errNotPosted // nothing is known of the host
	case hostFailed(r):
		failure = errors.New(r.Detail)
	}
	p.hosts.mu.Lock()
	defer p.hosts.mu.Unlock()
	p.tell(failure)
}

// release gives the permit back; one for which nothing was reported tells
// nothing of the host.
func (p *permit) release() {
	p.hosts.mu.Lock()
	defer p.hosts.mu.Unlock()
	p.host.underWay--
	p.tell(errNotPosted)
}

// tell tells the circuit, once. The lock is held.
func (p *permit) tell(result error) {
	if p.done != nil {
		p.done(result)
		p.done = nil
	}
}

// hostFailed tells a host that is down or overloaded from one that answers, if
// only to refuse what this callback URL asks of it.
func hostFailed(r webhook.Result) bool {
	return r.Verdict == webhook.NotDelivered && r.Cause == webhook.CauseReceiver && (r.Status == 0 || r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError)
}

const (
	leastBusyPause = 2 * time.Second
	maxBusyPause   = 2 * time.Minute
	// maxCircuitPause is how long after its host came back a delivery goes out,
	// at most.
	maxCircuitPause = 10 * time.Minute
)

// busyPause is for how long a delivery waits whose host has as many posts under
// way as are allowed. The more wait for the host, the longer it is, so that
// thousands load neither Redis nor the host.
func (h *hosts) busyPause(name string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return leastBusyPause + upTo(min(h.known(name).crowd.grow(), maxBusyPause-leastBusyPause))
}

// circuitPause is for how long a delivery waits while the circuit is not closed:
// the longer, the longer the host has been failing.
func (k *host) circuitPause() time.Duration {
	return jitter(min(max(time.Since(k.failing)/4, circuitPause), maxCircuitPause))
}

// afterFailure is the pause after a failed post: the schedule's, or where the
// host's circuit is open, the circuit's, for then it is no burden to the host to
// ask often.
func (h *hosts) afterFailure(name string, attempt int, retryAfter time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known(name)
	if known.failing.IsZero() {
		return retryPause(attempt, retryAfter)
	}
	return max(known.circuitPause(), min(retryAfter, maxRetryAfter)) + time.Second
}

// crowd estimates how many deliveries wait for a host, by how many it refused
// within ten seconds.
type crowd struct {
	since       time.Time
	count, last int
}

const (
	crowdWindow = 10 * time.Second
	crowdShare  = 50 * time.Millisecond // of the pause, for each that waits
)

// grow counts one more and returns the spread that so many need.
func (c *crowd) grow() time.Duration {
	if age := time.Since(c.since); age > crowdWindow {
		c.last = c.count
		if age > 2*crowdWindow {
			c.last = 0
		}
		c.since, c.count = time.Now(), 0
	}
	c.count++
	return time.Duration(max(c.count, c.last)) * crowdShare
}

func (h *hosts) countByState() map[gobreaker.State]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make(map[gobreaker.State]int)
	for _, known := range h.byName {
		counts[known.circuit.State()]++
	}
	return counts
}

func hostOf(callbackURL string) string {
	return address.HostOf(callbackURL)
}
