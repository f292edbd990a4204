// Package monitor is asynqmon, the page that shows asynq's queues, tasks and
// servers, made fit to be served next to the API: behind a login, read-only
// unless asked otherwise, and with nothing fetched from other hosts.
//
// It owns who is let in, which calls go through, and what a browser may do with
// the page. What is shown, and how, is asynqmon's. It keeps nothing.
//
// Read monitor.go, login.go (who is let in), call.go (which calls go through), redis.go (what Redis says of itself), page.go and readable.go (what is shown).
package monitor

import (
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/tries"
)

// Path is where the handler is to be mounted: all paths that begin with it.
const Path = "/monitor/"

// Options say what is shown, and to whom.
type Options struct {
	// Redis is where the queues are; required. The handler never closes it, and
	// uses at most 8 of its connections at once.
	Redis redis.UniversalClient
	// User and Password are asked for by basic authentication. Without a
	// password nobody is let in, unless Open is set.
	User, Password string
	// Open lets everybody in, without a login: for a demo on one's own machine.
	Open bool
	// Write also lets tasks be run, archived and deleted, and queues be paused.
	Write bool
	// Log receives the calls that failed, and wrong passwords, without them. Nil:
	// nobody does.
	Log *slog.Logger
	// Metrics counts wrong passwords. Nil: nobody does.
	Metrics prometheus.Registerer
}

// New returns the handler for [Path]. It connects to nothing, and is safe for
// concurrent use. Redis must outlive it.
func New(opts Options) http.Handler {
	m := &monitor{
		asynqmon: asynqmon.New(asynqmon.Options{
			RootPath:         strings.TrimSuffix(Path, "/"),
			RedisConnOpt:     lent{opts.Redis},
			ReadOnly:         !opts.Write,
			PayloadFormatter: asynqmon.PayloadFormatterFunc(readable),
			ResultFormatter:  asynqmon.ResultFormatterFunc(readable),
		}),
		redis: opts.Redis,
		write: opts.Write,
		log:   opts.Log,
		calls: make(chan struct{}, maxCalls),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	m.page = newPage(m.ask(pageRequest()).body.String())
	h := http.NewCrossOriginProtection().Handler(m)
	if !opts.Open {
		h = newLogin(opts.User, opts.Password, tries.New(tries.Options{Door: "monitor", Log: opts.Log, Metrics: opts.Metrics})).before(h)
	}
	return guarded(h)
}

// lent is a client that asynqmon uses and does not make. It would close it only
// in its Close, which nobody calls.
type lent struct{ client redis.UniversalClient }

var _ asynq.RedisConnOpt = lent{}

func (l lent) MakeRedisClient() any { return l.client }

// monitor answers who was let in.
type monitor struct {
	asynqmon http.Handler
	redis    redis.UniversalClient
	write    bool
	log      *slog.Logger
	page     page
	calls    chan struct{} // those under way
}

func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, found := strings.CutPrefix(r.URL.Path, Path)
	if !found || path.Clean("/"+name) != "/"+strings.TrimSuffix(name, "/") {
		http.NotFound(w, r) // neither asynqmon nor we are to wonder what is meant
		return
	}
	call, isCall := strings.CutPrefix(name, "api/")
	if changes := r.Method != http.MethodGet && r.Method != http.MethodHead; changes && (!m.write || !isCall) {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "read-only", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case isCall:
		m.serveCall(w, r, call)
	case isFile(name):
		m.serveFile(w, r)
	default:
		m.page.write(w)
	}
}

// guarded sets what holds for every answer, refusals too.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		h.ServeHTTP(w, r)
	})
}
