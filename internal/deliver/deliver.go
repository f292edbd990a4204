// Package deliver brings events to their receivers: one attempt at a time, with a
// typed outcome. The follower's step, the list of a host in memory and the handler of
// webhook:deliver make the same attempt. It never polls, except to make an event again
// whose seal cannot be opened, and never removes a session.
//
// An event whose first post failed, or could not be made, waits twice: as a task of
// webhook:deliver in Redis, and in the list of its host in this process (package
// hosts). The list brings it as soon as its pause is over or its host is back, and the
// event is posted straight from memory; the run of the task then only ends it. The
// task's due time is the fallback if the list is full or this process dies, and while
// an event is being posted from memory it is the lease of that post.
//
// Read deliver.go (options), attempt.go (one attempt), note.go (what is noted of it),
// first.go (an event in the follower's hand), waiting.go (an event in a host's list),
// handler.go (a task of webhook:deliver), open.go and lost.go (what is done if the
// sealed event cannot be opened, or its record is lost), waker.go (tasks whose event
// needs no post any more), schedule.go (the pauses).
package deliver

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// Metrics are what deliveries count.
type Metrics struct {
	FinalAfter   *prometheus.HistogramVec // account, outcome
	Attempts     *prometheus.CounterVec   // account, result
	Deliveries   *prometheus.CounterVec   // account, result
	DeliverAfter *prometheus.HistogramVec // account
}

// The results of attempts and deliveries, as their labels say them.
const (
	ResultDelivered = "delivered"
	ResultFailed    = "failed"
	ResultGone      = "gone"
	ResultGivenUp   = "given_up"
)

// Options say how a Deliverer works. All are required.
type Options struct {
	Records *outcome.Store
	Tasks   queue.List
	Queues  lease.Queues // of webhook:deliver
	Hosts   *hosts.Hosts
	Settler *settle.Settler
	Notes   insist.Notes
	// Patience is that of the servers of a session's shard: what is claimed again waits
	// for notes.
	Patience func(session string) *taskserver.Patience
	// Away reports whether the Redis of a session's shard does not answer. Then nothing
	// is posted of it: nobody could claim the post.
	Away    func(session string) bool
	Holder  string        // names this process in claims
	Timeout time.Duration // of one post
	Window  time.Duration // for how long an event is posted again and again
	// AwaitPoll waits until one more call to MarkSign may be made.
	AwaitPoll func(context.Context) error
	// Unsigned reports a task that nobody vouches for.
	Unsigned func(*account.Account, session.Job)
	Metrics  Metrics
	Log      *slog.Logger
}

// Deliverer delivers events. It is safe for concurrent use.
type Deliverer struct {
	opts    Options
	waker   wakers
	claims  atomic.Int64   // numbers the claimants of first posts
	trouble rate.Sometimes // to log of leases that Redis does not take
	closing atomic.Bool
}

// New makes a Deliverer.
func New(opts Options) *Deliverer {
	return &Deliverer{opts: opts, waker: newWakers(opts.Queues, opts.Notes, opts.Log), trouble: rate.Sometimes{Interval: 5 * time.Second}}
}

// Start ends tasks whose event needs no post any more, until the function that it
// returns has been called. That makes a last try.
func (d *Deliverer) Start(working context.Context) (stop func()) { return d.waker.start(working) }

// Close leaves what waits in the lists to other workers, but for what just failed and
// for pauses that the return of a host would not end. No post from memory begins any more.
func (d *Deliverer) Close() {
	d.closing.Store(true)
	d.waker.add(d.opts.Hosts.Close()...)
}

// mayClaim waits, if Redis has just come back, until notes must have been written of
// posts that others made. It returns false if no post may begin any more, because this
// process stops. A task's run need not ask: its server has waited already.
func (d *Deliverer) mayClaim(ctx context.Context, job session.Job) bool {
	d.opts.Patience(job.ID()).Await(ctx)
	return !d.closing.Load()
}

// Drain waits, after Close, for the posts from memory that are under way.
func (d *Deliverer) Drain() { d.opts.Hosts.Drain() }

// claimMargin is what a claim outlives its post by, for the note.
const claimMargin = 2 * time.Second

// claimTime is for how long a claim is taken.
func (d *Deliverer) claimTime() time.Duration { return d.opts.Timeout + claimMargin }

// newClaimant names one attempt of an event that is sealed already.
func (d *Deliverer) newClaimant() string { return d.opts.Holder + ".deliver." + rand.Text()[:8] }

// firstClaimant names the attempts that the follower makes for one session.
func (d *Deliverer) firstClaimant() string {
	return fmt.Sprintf("%s.%d", d.opts.Holder, d.claims.Add(1))
}

// windowLeft is for how long the event is still posted.
func (d *Deliverer) windowLeft(r outcome.Record) time.Duration {
	return d.opts.Window - r.Now.Sub(r.DeliveryBegan())
}
