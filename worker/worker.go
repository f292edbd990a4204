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

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/repair"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/internal/take"
)

// Worker follows sessions. Any number of workers, in any number of processes,
// share the work through one Redis.
type Worker struct {
	opts     Options
	log      *slog.Logger
	holder   string // names this worker in records and claims
	accounts map[string]*account.Account
	metrics  *metrics

	records *outcome.Store
	tasks   queue.List
	queues  []*lease.Queue // of the follow, deliver and remove tasks

	// working ends with the worker: a fact that a receiver or MarkSign told is
	// written down even if the run of its task is over.
	working context.Context //nolint:containedctx // it outlives every call
	abort   context.CancelFunc
	notes   insist.Notes

	taker     *take.Taker
	follower  *follow.Follower
	poller    *poll.Poller
	hosts     *hosts.Hosts
	deliverer *deliver.Deliverer
	remover   *remove.Remover
	settler   *settle.Settler
	repairer  *repair.Repairer

	running atomic.Bool
	// unknownAccounts bounds the log of tasks that wait for an account.
	unknownAccounts rate.Sometimes
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
		unknownAccounts: rate.Sometimes{Interval: alertPause},
	}
	w.working, w.abort = context.WithCancel(context.Background())
	w.join(keys)
	if opts.Metrics != nil {
		opts.Metrics.MustRegister(newStandingMetrics(w))
	}
	opts.Redis.AddHook(redisHook{w.metrics.redisErrors})
	return w, nil
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
// workers, and returns within the ShutdownTimeout. It returns an error if it could
// not start, or if the stop was cut short. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	defer w.abort()
	if !w.register(ctx) {
		return nil
	}
	looping, stopLoops := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { w.repairer.Run(looping) })
	loops.Go(func() { w.taker.LogTakeovers(looping) })
	stopWaking := w.deliverer.Start(w.working)
	w.follower.Start(w.working) //nolint:contextcheck // it outlives ctx: what is under way is finished
	servers, err := w.startServers()
	if err == nil {
		w.running.Store(true)
		w.log.Info("following sessions", "worker", w.holder, "lease", w.opts.Lease.String(), "follow_limit", w.opts.FollowLimit)
		<-ctx.Done()
		w.running.Store(false)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stopLoops()
		w.stop(servers)
		stopWaking()
		loops.Wait()
	}()
	return errors.Join(err, w.awaitStop(stopped))
}

// stop hands the sessions over, and returns when all that is under way is done. No
// post begins that would outlast the stop.
func (w *Worker) stop(s servers) {
	w.log.Info("stopping: handing the sessions over")
	s.deliver.StopTaking()
	s.remove.StopTaking()
	w.deliverer.Close()
	s.follow.Stop()
	w.follower.Stop(w.working)
	w.deliverer.Drain()
	s.deliver.Stop()
	s.remove.Stop()
	for _, server := range []*queue.Server{s.follow, s.deliver, s.remove} {
		server.Wait()
	}
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

// register makes the queues known, and waits for Redis to do so. It returns false
// if ctx ended first.
func (w *Worker) register(ctx context.Context) bool {
	for _, q := range w.queues {
		if !insist.On(ctx, w.log, "registering a queue", q.Register) {
			return false
		}
	}
	return true
}
