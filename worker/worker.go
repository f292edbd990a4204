package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/fair"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// Worker follows sessions. Any number of workers, in any number of processes,
// share the work through one Redis.
type Worker struct {
	opts      Options
	log       *slog.Logger
	holder    string // names this worker in records and claims
	records   *outcome.Store
	accounts  accounts
	metrics   *metrics
	tasks     queue.List
	following *lease.Queue
	queues    []*lease.Queue
	further   []*lease.Queue // those of sessions that have their outcome
	hosts     *hosts
	removing  *fair.Slots // DELETEs of session:remove
	follower  *follow.Follower
	pollRate  *rate.Limiter
	replicas  replicas
	claims    atomic.Int64 // numbers the claimants of first posts
	running   atomic.Bool
	handlers  sync.WaitGroup // runs of tasks, also those that asynq waits for no more
	orphans   atomic.Bool    // tasks may be in no list
	takeovers atomic.Int64   // not logged yet
	// unknownAccounts bounds the log of tasks that wait for an account.
	unknownAccounts rate.Sometimes
	rejections      rate.Sometimes // bounds the log of rejected polls
	// notes ends with the worker: a fact that a receiver or MarkSign told is
	// written down even where the run of its task is over.
	notes context.Context //nolint:containedctx // it outlives every call
}

// New checks the options and makes a Worker. It does not connect to anything.
func New(opts Options) (*Worker, error) {
	opts = opts.withDefaults()
	keys, keyErr := outcome.NewKeyring(opts.OutcomeKeys...)
	accounts, accountErr := newAccounts(opts)
	if err := errors.Join(opts.validate(), keyErr, accountErr); err != nil {
		return nil, fmt.Errorf("worker options: %w", err)
	}
	w := &Worker{
		opts: opts, log: opts.Logger, holder: rand.Text(), accounts: accounts,
		records: outcome.NewStore(outcome.Config{
			Redis: opts.Redis, Keyring: keys, SessionTimeout: opts.SessionTimeout,
			DeliveryWindow: opts.DeliveryWindow, RedeliveryWindow: opts.RedeliveryWindow,
		}),
		tasks:     queue.NewList(opts.Redis),
		following: lease.NewQueue(opts.Redis, queue.Follow),

		pollRate: newPollRate(opts.PollRate),

		unknownAccounts: rate.Sometimes{Interval: alertPause}, rejections: rate.Sometimes{Interval: 10 * time.Second},
		hosts: newHosts(max(opts.DeliveryConcurrency/2, 1), opts.Logger),
	}
	w.further = []*lease.Queue{lease.NewQueue(opts.Redis, queue.Deliver), lease.NewQueue(opts.Redis, queue.Remove)}
	w.queues = append([]*lease.Queue{w.following}, w.further...)
	w.removing = fair.New(removeConcurrency, len(accounts))
	w.follower = w.newFollower()
	w.metrics = newMetrics(opts.Metrics, accounts)
	if opts.Metrics != nil {
		opts.Metrics.MustRegister(newStandingMetrics(w))
	}
	opts.Redis.AddHook(redisHook{w.metrics.redisErrors})
	for _, a := range accounts {
		a.resumed = w.resumeAccount
	}
	return w, nil
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

func (w *Worker) newFollower() *follow.Follower {
	return follow.New(follow.Options{
		Tasks: w.following, Records: held{w.records, w.holder}, Lease: w.opts.Lease, Limit: w.opts.FollowLimit, Accounts: len(w.accounts),
		Polls: w.opts.PollWorkers, Posts: w.opts.DeliveryConcurrency, Hands: handWorkers, Removals: removeWorkers,
		LogPanic: w.logPanic, Log: w.log,
	})
}

func newPollRate(perSecond float64) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, 1)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
}

// held is what the records say of the sessions that a holder follows.
type held struct {
	records *outcome.Store
	holder  string
}

// HeldByOthers is called by the follower.
func (h held) HeldByOthers(ctx context.Context, ids []string) (map[string]bool, error) {
	return h.records.HeldByOthers(ctx, ids, h.holder)
}

// Forget is called by the follower.
func (h held) Forget(ctx context.Context, id string) error {
	return h.records.Forget(ctx, outcome.Session{ID: id}, h.holder)
}

// resumeAccount polls the sessions soon that waited because MarkSign rejected their account.
func (w *Worker) resumeAccount(a *account) {
	w.follower.Hasten(a.name, takeoverBurst, func(step follow.Step) bool {
		p, ok := step.(polling)
		if !ok || !p.s.held && p.s.troubled != marksign.Rejected {
			return false
		}
		p.s.trouble = nil
		return true
	})
}

// Ready returns nil while the worker runs and Redis answers it.
func (w *Worker) Ready(ctx context.Context) error {
	if !w.running.Load() {
		return errors.New("the worker is not running")
	}
	if err := w.opts.Redis.Ping(ctx).Err(); err != nil {
		return errors.New("Redis does not answer") //nolint:staticcheck // Redis is a name
	}
	return nil
}

// Run works until ctx is done, then stops gracefully: it takes no more tasks,
// finishes the posts that are under way, hands every other session to the other
// workers, and returns within the ShutdownTimeout. It returns an error where it
// could not start, or where the stop was cut short. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	working, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	w.notes = working
	if !w.register(ctx) {
		return nil
	}
	sweeping, stopSweeping := context.WithCancel(ctx)
	swept := w.startSweeping(sweeping)
	w.follower.Start(working)
	servers, err := w.startServers(working)
	if err == nil {
		w.running.Store(true)
		w.log.Info("following sessions", "worker", w.holder, "lease", w.opts.Lease.String(), "follow_limit", w.opts.FollowLimit)
		<-ctx.Done()
		w.running.Store(false)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stopSweeping()
		w.stop(working, servers)
		<-swept
	}()
	return errors.Join(err, w.awaitStop(stopped))
}

// stop hands the sessions over, and returns when all that is under way is done.
func (w *Worker) stop(working context.Context, s *servers) {
	w.log.Info("stopping: handing the sessions over")
	s.stopTaking()
	s.stopFollowing()
	w.follower.Stop(working)
	s.stop()
	w.handlers.Wait()
}

// errStop says that the stop was cut short. Nothing is lost by it.
var errStop = errors.New("the stop took longer than the shutdown timeout; what was not handed over is taken over when its lease ends")

// awaitStop waits no longer than the ShutdownTimeout: a Redis that hangs must
// not keep the process.
func (w *Worker) awaitStop(stopped <-chan struct{}) error {
	timeout := time.NewTimer(w.opts.ShutdownTimeout)
	defer timeout.Stop()
	select {
	case <-stopped:
		w.log.Info("stopped")
		return nil
	case <-timeout.C:
		return errStop
	}
}

// register makes the queues known, for which it waits for Redis. It returns
// false where ctx ended first.
func (w *Worker) register(ctx context.Context) bool {
	for _, q := range w.queues {
		if !w.insist(ctx, "registering a queue", q.Register) {
			return false
		}
	}
	return true
}

// insistPause is short at first and rises to maxInsistPause, which is short too:
// when Redis is back, asynq waits until notes are written.
const (
	insistPause    = 50 * time.Millisecond
	maxInsistPause = 200 * time.Millisecond
)

// note writes a fact down, whatever becomes of the run that learned it. It
// returns false where the worker's own end came first.
func (w *Worker) note(what string, do func(context.Context) error) bool {
	return w.insist(w.notes, what, do)
}

// insist repeats do until Redis takes it. It returns false where ctx ended first.
func (w *Worker) insist(ctx context.Context, what string, do func(context.Context) error) bool {
	for try := 1; ; try++ {
		err := do(ctx)
		if err == nil {
			return true
		}
		if try == 1 {
			w.log.Error("Redis refused; trying again until it takes it", "what", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(min(time.Duration(try)*insistPause, maxInsistPause)):
		}
	}
}
