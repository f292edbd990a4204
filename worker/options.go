package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Account is one MarkSign account, with the application that its sessions are of.
type Account struct {
	// Name is what sessions name it by, as tasks.Session.Account; empty:
	// tasks.DefaultAccount. It is in logs and metrics.
	Name     string
	MarkSign MarkSign        // required
	Sender   *webhook.Sender // posts its events; required
	// TaskKeys, if there are any, are those that the payloads of the account's
	// tasks must be signed with: any of them. A session whose task is not waits.
	// The HTTP API and commands sign with the first.
	TaskKeys []tasks.PayloadKey
	// CallbackURL receives the events of sessions that name none. Without it
	// such events wait sealed, and are posted once a worker knows where to.
	CallbackURL string
	// CallbackHosts, if there are any, are the hosts that events may be posted to
	// beside CallbackURL: each a host, or "*." and a domain for all names below it.
	// An event for another host waits sealed, as one without a callback URL does.
	CallbackHosts []string
}

// MarkSign says how a MarkSign account is reached.
type MarkSign struct {
	BaseURL     string // for example https://api.marksign.eu; required
	AccessToken string // required
	Locale      string // of sessions that name none: "lt" (also where empty) or "en"
	// Timeout bounds one call. Zero: 10 s.
	Timeout time.Duration
	// Transport carries the calls. Nil: a transport of the worker's own.
	Transport http.RoundTripper
}

// String keeps the access token out of logs.
func (m MarkSign) String() string { return "MarkSign account [redacted]" }

// GoString keeps the access token out of logs.
func (m MarkSign) GoString() string { return m.String() }

// LogValue keeps the access token out of logs.
func (m MarkSign) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Options say how a Worker works. The zero value of a field that is not
// required stands for the default that its comment names.
type Options struct {
	// Redis is required. The worker adds a hook to it that counts its errors; the
	// caller closes it after Run returned nil.
	Redis redis.UniversalClient
	// Shards is over how many shards the sessions are spread, the same for all workers
	// and applications on one Redis. Zero: 1, or 8 on a Redis Cluster; at most 256.
	Shards int
	// Accounts are those whose sessions are followed: at least one, each of
	// another name. Sessions of others wait.
	Accounts []Account
	// OutcomeKeys seal results in Redis: each of 32 bytes, the first seals, all
	// open. Required.
	OutcomeKeys [][]byte
	// Pace is the pause between two polls. Zero: 1 s for the first 30 s, 2 s to
	// 60 s, 3 s to 2 min, then 5 s.
	Pace Pace
	// PollRate bounds the polls per second of this process. Zero: no bound.
	PollRate float64
	// PollWorkers is how many polls may be under way at once. Zero: 256.
	PollWorkers int
	// FollowLimit is how many sessions this process follows at once. Zero: 50,000.
	FollowLimit int
	// Lease is how long a session of a dead worker waits to be taken over. Zero:
	// 10 s; 3 s to 5 min.
	Lease time.Duration
	// SessionTimeout is for how long a session is followed. Zero: 15 min.
	SessionTimeout time.Duration
	// DeliveryWindow is for how long an event is posted again and again. Zero: 72 h.
	DeliveryWindow time.Duration
	// DeliveryTimeout bounds one post, and should be the Sender's. Zero: 15 s.
	DeliveryTimeout time.Duration
	// DeliveryConcurrency is how many first posts, and as many repeated ones, may
	// be under way at once; half of it to one host. Zero: 64.
	DeliveryConcurrency int
	// RedeliveryWindow is for how long the sealed result is kept after delivery
	// was given up. Zero: 7 days; negative: it is erased at once.
	RedeliveryWindow time.Duration
	// ShutdownTimeout bounds the stop. Zero: 30 s; at least DeliveryTimeout + 2 s.
	ShutdownTimeout time.Duration
	// Metrics is where the worker registers what it counts, under names that begin
	// with identwatch_: once, so that two workers need one each. Nil: nowhere.
	Metrics prometheus.Registerer
	// Logger receives what an operator should know. Nil: slog.Default().
	Logger *slog.Logger
}

// Pace is the pause between two polls, as a function of the session's age.
type Pace = poll.Pace

// PaceStep is one step of a Pace.
type PaceStep = poll.PaceStep

// DefaultPace suits people who confirm on a phone.
func DefaultPace() Pace { return poll.DefaultPace() }

// maxLease bounds every process's Lease, so that all know of one that is no lease.
const maxLease = 5 * time.Minute

const defaultDeliveryTimeout = 15 * time.Second

func (o Options) withDefaults() Options {
	if o.Pace == nil {
		o.Pace = poll.DefaultPace()
	}
	o.PollWorkers = cmp.Or(o.PollWorkers, 256)
	o.FollowLimit = cmp.Or(o.FollowLimit, 50_000)
	o.Lease = cmp.Or(o.Lease, 10*time.Second)
	o.SessionTimeout = cmp.Or(o.SessionTimeout, 15*time.Minute)
	o.DeliveryWindow = cmp.Or(o.DeliveryWindow, 72*time.Hour)
	o.DeliveryTimeout = cmp.Or(o.DeliveryTimeout, defaultDeliveryTimeout)
	o.DeliveryConcurrency = cmp.Or(o.DeliveryConcurrency, 64)
	o.RedeliveryWindow = max(cmp.Or(o.RedeliveryWindow, 7*24*time.Hour), 0)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 30*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return o
}

func prefixed(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %w", field, err)
}

// validate reports all faults at once; it is called after withDefaults.
func (o Options) validate() error {
	var faults []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	require(o.Redis != nil, "Redis is required")
	require(len(o.Accounts) > 0, "Accounts is empty")
	require(o.Lease >= 3*time.Second, "Lease is %v, under 3s", o.Lease)
	require(o.Lease <= maxLease, "Lease is %v, over %v", o.Lease, maxLease)
	require(o.PollRate >= 0, "PollRate is negative")
	require(o.PollWorkers > 0, "PollWorkers is negative")
	require(o.FollowLimit > 0, "FollowLimit is negative")
	require(o.SessionTimeout > 0, "SessionTimeout is negative")
	require(o.DeliveryWindow > 0, "DeliveryWindow is negative")
	require(o.DeliveryTimeout > 0, "DeliveryTimeout is negative")
	require(o.DeliveryConcurrency > 0, "DeliveryConcurrency is negative")
	require(o.ShutdownTimeout >= o.DeliveryTimeout+2*time.Second,
		"ShutdownTimeout is %v, under DeliveryTimeout (%v) and two seconds more", o.ShutdownTimeout, o.DeliveryTimeout)
	if err := o.Pace.Validate(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
