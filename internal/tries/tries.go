// Package tries slows down clients that send wrong passwords and keys. It owns how
// often a client may be wrong, the count of it for Prometheus, and the warning. It
// never sees what was sent.
package tries

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	burst = 10              // wrong tries in a row
	pause = 2 * time.Second // until one more is allowed
	// maxClients bounds the table. It is kept twice: what was seen lately, and what
	// was seen before.
	maxClients = 4096
	// warnPause is between two warnings.
	warnPause = time.Minute
)

// Options say what a Limiter guards.
type Options struct {
	Door    string                // what it guards, for the log and the metric. Required.
	Log     *slog.Logger          // gets a warning, once a minute at most. Nil: nobody does.
	Metrics prometheus.Registerer // gets identwatch_wrong_credentials_total. Nil: nobody does.
}

// Limiter counts the wrong tries of clients. A client is an IPv4 address, or an
// IPv6 network of 64 bits. It is safe for concurrent use.
type Limiter struct {
	door  string
	log   *slog.Logger
	wrong prometheus.Counter

	mu            sync.Mutex
	lately, older map[netip.Prefix]*client
	warned        bool // within warnPause
	unreported    int
	last          netip.Prefix // where the last of them came from
}

// client is how often one may still be wrong.
type client struct {
	left float64
	at   time.Time
}

// New makes a Limiter.
func New(opts Options) *Limiter {
	l := &Limiter{
		door: opts.Door, log: opts.Log, lately: make(map[netip.Prefix]*client),
		wrong: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "identwatch_wrong_credentials_total", Help: "Requests with a wrong password or API key.",
			ConstLabels: prometheus.Labels{"door": opts.Door},
		}),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if opts.Metrics != nil {
		opts.Metrics.MustRegister(l.wrong)
	}
	return l
}

// Begin takes one of the client's tries before its password is looked at. It
// returns how long to wait if there is none left, and else 0. Whoever was right
// gets the try back: see Right.
func (l *Limiter) Begin(r *http.Request) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.client(r)
	if c.left < 1 {
		return time.Duration((1 - c.left) * float64(pause))
	}
	c.left--
	return 0
}

// Right gives a try back that Begin took.
func (l *Limiter) Right(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.client(r)
	c.left = min(c.left+1, burst)
}

// Wrong counts a try that was wrong, or that was not looked at because the client
// has none left. The first is reported at once, and those that follow together, a
// pause later.
func (l *Limiter) Wrong(r *http.Request) {
	l.wrong.Inc()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreported, l.last = l.unreported+1, addressOf(r)
	if !l.warned {
		l.report()
	}
}

// report warns of the tries that nobody was warned of, and looks again after a
// pause; the lock is held.
func (l *Limiter) report() {
	l.warned = l.unreported > 0
	if !l.warned {
		return
	}
	l.log.Warn("wrong passwords or keys are sent", "door", l.door, "tries", l.unreported, "last_from", l.last.String())
	l.unreported = 0
	time.AfterFunc(warnPause, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.report()
	})
}

// client returns what is known of the request's client, as it is now; the lock is
// held. A table that is full becomes the older one, and that is forgotten.
func (l *Limiter) client(r *http.Request) *client {
	address, current := addressOf(r), time.Now()
	c := l.lately[address]
	if c == nil {
		if c = l.older[address]; c == nil {
			c = &client{left: burst, at: current}
		}
		if len(l.lately) >= maxClients {
			l.lately, l.older = make(map[netip.Prefix]*client), l.lately
		}
		l.lately[address] = c
	}
	c.left = min(c.left+current.Sub(c.at).Seconds()/pause.Seconds(), burst)
	c.at = current
	return c
}

// addressOf is the network that a request came from; behind a proxy it is the
// proxy's.
func addressOf(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // all such share one
	}
	addr := from.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.Prefix(bits) // the bits are those of its kind
	return network
}
