package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/fair"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/metrics"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/internal/take"
	"github.com/identwatch/identwatch/internal/taskserver"
)

const (
	// Runs of tasks at once. Those of webhook:deliver are DeliveryConcurrency, and
	// endRuns more that only end their task.
	followRuns = 32
	removeRuns = 16
	endRuns    = 16
	// stopMargin is by how much the ShutdownTimeout is longer than any one call.
	stopMargin = 2 * time.Second
	// First DELETEs at once, and hand-overs to webhook:deliver.
	removeWorkers = 32
	handWorkers   = 32
	// An account that MarkSign accepts again is polled within this time.
	resumeSpread = 300 * time.Millisecond
)

// join makes the parts and puts them together.
func (w *Worker) join(keys *outcome.Keyring) {
	o := w.opts
	w.metrics = metrics.New(o.Metrics, slices.Collect(maps.Keys(w.accounts)))
	w.records = outcome.NewStore(outcome.Config{
		Redis: o.Redis, Shards: w.layout, Keyring: keys, SessionTimeout: o.SessionTimeout,
		DeliveryWindow: o.DeliveryWindow, RedeliveryWindow: o.RedeliveryWindow,
	})
	w.tasks = queue.NewList(o.Redis, w.layout)
	for _, name := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		w.queues = append(w.queues, lease.NewQueues(o.Redis, w.layout, name))
	}
	w.taker = take.New(take.Options{
		Records: w.records, Holder: w.holder, Tasks: w.queues[0], Further: w.queues[1:],
		TakenOver: w.metrics.TakenOver, Refused: w.metrics.RefusedTasks, Unknown: w.metrics.UnknownAccount, Log: w.log,
	})
	w.notes = insist.NewNotes(w.working, w.log)
	w.settler = settle.New(settle.Options{Records: w.records, Tasks: w.tasks, RecordsLost: w.metrics.RecordsLost, Log: w.log})
	w.poller = poll.New(poll.Options{
		Records: w.records, Holder: w.holder, Pace: o.Pace, Rate: o.PollRate, Log: w.log, Metrics: w.metrics.Poll,
	})
	w.remover = remove.New(remove.Options{
		Records: w.records, Tasks: w.tasks, Settler: w.settler, Notes: w.notes, Slots: fair.New(removeRuns, len(w.accounts)),
		Timeout: o.ShutdownTimeout - stopMargin, Removals: w.metrics.Removals, Log: w.log,
	})
	w.joinDelivery()
	for _, of := range w.layout.All() {
		w.shards = append(w.shards, w.newShard(of))
	}
	for name, a := range w.accounts {
		a.OnAccepted(func() {
			for _, sh := range w.shards {
				sh.follower.Hasten(name, resumeSpread, wasRejected)
			}
		})
	}
}

// joinDelivery makes the parts that post events. The others must be there.
func (w *Worker) joinDelivery() {
	o := w.opts
	w.hosts = hosts.New(hosts.Options{PerHost: max(o.DeliveryConcurrency/2, 1), Total: o.DeliveryConcurrency, Accounts: len(w.accounts), Log: w.log})
	w.deliverer = deliver.New(deliver.Options{
		Records: w.records, Tasks: w.tasks, Queues: w.queues[1], Hosts: w.hosts, Settler: w.settler, Notes: w.notes,
		Patience: func(session string) *taskserver.Patience { return w.of(session).patience },
		Away:     func(session string) bool { return w.of(session).watch.Away() },
		Holder:   w.holder, Timeout: o.DeliveryTimeout, Window: o.DeliveryWindow, AwaitPoll: w.poller.AwaitRate, Unsigned: w.taker.Refuse,
		Metrics: w.metrics.Deliver, Log: w.log,
	})
}

// wasRejected picks the sessions that wait because MarkSign rejected their account.
func wasRejected(step follow.Step) bool {
	p, polls := step.(polling)
	return polls && p.state.Resume()
}

// run runs a task of a session whose account is known.
type run func(context.Context, *asynq.Task, *account.Account, session.Job) error

func (w *Worker) newServer(sh *shard, q *lease.Queue, concurrency int, run run) *taskserver.Server {
	return taskserver.New(taskserver.Options{
		Redis: w.opts.Redis, Queue: q, Concurrency: concurrency, Work: w.working, ShutdownTimeout: w.opts.ShutdownTimeout, Patience: sh.patience, Watch: sh.watch, Sharded: len(w.layout.All()) > 1,
		Trouble: sh.repairer.Suspect, Log: w.log,
		Handler: func(ctx context.Context, t *asynq.Task) error {
			job, err := taskserver.Open(t, w.log)
			if err != nil {
				return err
			}
			a := w.accounts[job.Account]
			if a == nil {
				return w.taker.Leave(ctx, job)
			}
			return run(ctx, t, a, job)
		},
	})
}
