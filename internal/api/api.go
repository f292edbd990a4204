package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/internal/tries"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Account is one MarkSign account and who may use it.
type Account struct {
	// Name is the account's name, as in [tasks.Session]. Required.
	Name string
	// Keys are the SHA-256 of the account's API keys; see [HashKey]. Without any
	// the account cannot be used over HTTP.
	Keys [][32]byte
	// CallbackURL is where events go whose session names no callback URL. Empty:
	// such sessions are refused.
	CallbackURL string
	// Sender judges callback URLs and posts test events. Required.
	Sender *webhook.Sender
	// CallbackHosts are the hosts that sessions may name beside CallbackURL's, as
	// workers have them. None: any host.
	CallbackHosts []string
	// PayloadKey signs the account's sessions, as workers with TASK_KEYS demand.
	// Zero: they are not signed.
	PayloadKey tasks.PayloadKey
}

// Options are what the API needs.
type Options struct {
	Accounts []Account
	// Redis is the service's own. Required.
	Redis redis.UniversalClient
	// Shards is over how many shards the sessions are spread, as for the service's
	// workers. Zero: 1, or 8 on a Redis Cluster.
	Shards int
	// DeliveryTimeout is the total time of one post, as the accounts' senders and
	// the workers have it. Zero: 15 s.
	DeliveryTimeout time.Duration
	// Rate is how many requests a second an account may make of this process; a
	// batch counts each of its sessions. Zero: no bound.
	Rate float64
	// MaxSessions is how many sessions of an account may be outstanding: followed
	// or waiting for a worker, whoever enqueued them. Zero: no bound.
	MaxSessions int
	// Log receives what went wrong on our side, and that wrong keys came, without
	// them. Nil: nobody does.
	Log *slog.Logger
	// Metrics counts wrong keys. Nil: nobody does.
	Metrics prometheus.Registerer
}

const (
	// redisPatience is how long a call may wait for Redis before it is answered
	// with 503. go-redis by itself tries for three times as long.
	redisPatience = 4 * time.Second
	// defaultDeliveryTimeout is what workers and senders default to.
	defaultDeliveryTimeout = 15 * time.Second
)

// API is an [http.Handler] for the paths below /v1/ and /docs/. It is safe for
// concurrent use.
type API struct {
	mux             *http.ServeMux
	keys            keyring
	tries           *tries.Limiter
	census          *census
	sessions        *admin.Sessions
	patience        time.Duration
	deliveryTimeout time.Duration
	log             *slog.Logger
}

// Enabled reports whether any account has a key. Without one [Off] is all that
// there is to mount.
func Enabled(accounts []Account) bool {
	for _, a := range accounts {
		if len(a.Keys) > 0 {
			return true
		}
	}
	return false
}

// New makes the API. It connects to nothing. It refuses an account without a
// name or a sender, one that is named twice, and a key of two accounts.
func New(opts Options) (*API, error) {
	if opts.Redis == nil {
		return nil, errors.New("api: no Redis")
	}
	layout, err := shards.New(opts.Shards, opts.Redis)
	if err != nil {
		return nil, fmt.Errorf("api: the number of shards %w", err)
	}
	keys, err := newKeyring(opts.Accounts, opts.Redis, layout.Count(), opts.Rate)
	if err != nil {
		return nil, err
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	timeout := cmp.Or(opts.DeliveryTimeout, defaultDeliveryTimeout)
	sessions := admin.New(opts.Redis, layout)
	a := &API{
		mux:             http.NewServeMux(),
		keys:            keys,
		tries:           tries.New(tries.Options{Door: "api", Log: opts.Log, Metrics: opts.Metrics}),
		census:          newCensus(opts.MaxSessions, sessions, opts.Accounts, log),
		sessions:        sessions,
		patience:        redisPatience,
		deliveryTimeout: timeout,
		log:             log,
	}
	return a, a.mount()
}

// mount registers every path, and for each what answers other methods.
func (a *API) mount() error {
	operations := a.operations()
	allowed := map[string][]string{}
	for _, op := range operations {
		a.mux.Handle(op.Method+" "+op.Path, a.serve(op))
		allowed[op.Path] = append(allowed[op.Path], op.Method)
	}
	document, err := newDocument(operations)
	if err != nil {
		return err
	}
	for path, handler := range document.handlers() {
		a.mux.Handle("GET "+path, handler)
		allowed[path] = append(allowed[path], http.MethodGet)
	}
	for path, methods := range allowed {
		a.mux.Handle(path, notAllowed(methods))
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { errNoPath.write(w) })
	return nil
}
