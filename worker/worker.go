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

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/metrics"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/redisnode"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/internal/take"
)

// Worker follows sessions. Any number of workers, in any number of processes,
// share the work through one Redis.
type Worker struct {
	opts     Options
	log      *slog.Logger
	holder   string // names this worker in records and claims
	accounts map[string]*account.Account
	metrics  *metrics.Metrics

	layout  session.Shards
	records *outcome.Store
	tasks   queue.List
	queues  []lease.Queues // of the follow, deliver and remove tasks

	// working ends with the worker: a fact that a receiver or MarkSign told is
	// written down even if the run of its task is over.
	working context.Context //nolint:containedctx // it outlives every call
	abort   context.CancelFunc
	notes   insist.Notes

	taker     *take.Taker
	poller    *poll.Poller
	hosts     *hosts.Hosts
	deliverer *deliver.Deliverer
	remover   *remove.Remover
	settler   *settle.Settler

	shards  []*shard // by their numbers
	running atomic.Bool
}

// New checks the options and makes a Worker. It does not connect to anything.
func New(opts Options) (*Worker, error) {
	opts = opts.withDefaults()
	keys, keyErr := outcome.NewKeyring(opts.OutcomeKeys...)
	accounts, accountErr := newAccounts(opts)
	layout, shardsErr := shards.New(opts.Shards, opts.Redis)
	if err := errors.Join(opts.validate(), keyErr, accountErr, prefixed("Shards", shardsErr)); err != nil {
		return nil, fmt.Errorf("worker options: %w", err)
	}
	w := &Worker{opts: opts, log: opts.Logger, holder: rand.Text(), accounts: accounts, layout: layout}
	w.working, w.abort = context.WithCancel(context.Background())
	w.join(keys)
	if opts.Metrics != nil {
		opts.Metrics.MustRegister(metrics.Standing{Followed: w.followed, Rejected: w.rejected, Circuits: w.hosts.States, Waiting: w.hosts.Waiting})
	}
	redisnode.AddHook(opts.Redis, metrics.RedisHook{Errors: w.metrics.RedisErrors})
	return w, nil
}

// Ready returns nil while the worker runs and Redis answers it. Of a cluster one master
// that answers is enough: the worker goes on with the sessions that it has.
func (w *Worker) Ready(ctx context.Context) error {
	if !w.running.Load() {
		return errors.New("the worker is not running")
	}
	if err := redisinfo.Ping(ctx, w.opts.Redis); err != nil {
		return errors.New("Redis does not answer") //nolint:staticcheck // Redis is a name
	}
	return nil
}

// Run works until ctx is done, then stops gracefully: it takes no more tasks,
// finishes the posts that are under way, hands every other session to the other
// workers, and returns within the ShutdownTimeout. It returns an error if it could
// not start, as when the Redis was begun with other Shards, or if the stop was cut
// short. A Worker runs once.
func (w *Worker) Run(ctx context.Context) error {
	defer w.abort()
	if begins, err := w.await(ctx); !begins {
		return err
	}
	looping, stopLoops := context.WithCancel(ctx)
	var loops sync.WaitGroup
	for _, sh := range w.shards {
		loops.Go(func() { sh.repairer.Run(looping) })
	}
	loops.Go(func() { w.keepKnown(looping) })
	loops.Go(func() { w.taker.LogTakeovers(looping) })
	stopWaking := w.deliverer.Start(w.working) //nolint:contextcheck // it outlives ctx, as the follower does
	for _, sh := range w.shards {
		sh.watch.Start()             //nolint:contextcheck // it ends with the servers
		sh.follower.Start(w.working) //nolint:contextcheck // it outlives ctx: what is under way is finished
	}
	err := w.startServers() //nolint:contextcheck // they end when they are stopped
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
		w.stop()
		stopWaking()
		loops.Wait()
	}()
	return errors.Join(err, w.awaitStop(stopped))
}

// await waits for Redis, makes sure that it was begun with our shards, and makes the
// queues known to asynq's tools. It returns false if ctx ended first.
func (w *Worker) await(ctx context.Context) (begins bool, err error) {
	taken := insist.On(ctx, w.log, "agreeing on the shards", func(ctx context.Context) error {
		if err = shards.Agree(ctx, w.opts.Redis, w.layout); errors.Is(err, shards.ErrOther) {
			return nil
		}
		return err
	})
	switch {
	case !taken:
		return false, nil
	case err != nil:
		return false, err
	}
	if len(w.shards) > 1 { // nobody waits for that: see queue.Known
		return true, nil
	}
	return w.shards[0].repairer.Register(ctx), nil
}

// knownPause is before the queues are made known again: a Redis that lost its data does
// not know them.
const knownPause = 5 * time.Second

// keepKnown keeps the queues known to asynq's tools until ctx ends. Their key is in no
// shard, so that no shard may wait for it.
func (w *Worker) keepKnown(ctx context.Context) {
	tick := time.NewTicker(knownPause)
	defer tick.Stop()
	for {
		for _, sh := range w.shards {
			sh.repairer.Register(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *Worker) startServers() error {
	for _, server := range w.servers() {
		if err := server.Start(); err != nil {
			return err
		}
	}
	return nil
}

// stop hands the sessions over, and returns when all that is under way is done. No
// post begins that would outlast the stop.
func (w *Worker) stop() {
	w.log.Info("stopping: handing the sessions over")
	for _, sh := range w.shards {
		for _, others := range sh.servers[1:] {
			others.StopTaking()
		}
	}
	w.deliverer.Close()
	w.eachShard(func(sh *shard) { sh.handOver(w.working) })
	w.deliverer.Drain()
	w.eachShard((*shard).end)
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
