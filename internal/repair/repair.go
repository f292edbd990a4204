// Package repair puts back what dead workers, and a Redis that lost data, left
// behind: active tasks without a lease, tasks whose time lies too far in the
// future, tasks that are in no list, redeliveries without a task. It also counts
// the tasks of each queue. There is a Repairer for each shard. It never runs a task, and never calls MarkSign or a
// receiver.
//
// Read repair.go (the loop, and what it does each second), search.go (the seldom
// looks at everything), redeliveries.go (what an operator asked for), measure.go (the
// counts), stray.go (tasks in a queue that nobody serves).
package repair

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

const (
	sweepPause   = time.Second
	measurePause = 5 * time.Second
)

// Queue is one queue to look after.
type Queue struct {
	Tasks *lease.Queue
	// LongestPause is the most that anybody asks for between two runs of a task.
	LongestPause time.Duration
	// Spread is within which tasks become due that are brought back.
	Spread time.Duration
	// Scheduled says whether scheduled tasks are ours too. An application may have
	// scheduled a task of the follow queue itself.
	Scheduled bool
}

// Options say what is looked after. All are required but Stray.
type Options struct {
	Queues []Queue
	// Stray is a queue that nobody serves, and that applications may take for one of
	// ours. Nil: there is none.
	Stray   *lease.Queue
	Shard   session.Shard // theirs
	Records *outcome.Store
	Tasks   queue.List
	Metrics Metrics
	Log     *slog.Logger
}

// Repairer repairs from Run on. It is safe for concurrent use.
type Repairer struct {
	opts      Options
	suspected atomic.Bool // tasks may be in no list
	search    search
	measured  time.Time
}

// New makes a Repairer.
func New(opts Options) *Repairer { return &Repairer{opts: opts} }

// Register makes the queues known to asynq's tools, and waits for Redis to do so. It
// returns false if ctx ended first.
func (r *Repairer) Register(ctx context.Context) bool {
	for _, q := range r.opts.Queues {
		if !insist.On(ctx, r.opts.Log, "registering a queue", q.Tasks.Register) {
			return false
		}
	}
	return true
}

// Suspect has tasks looked for soon that are in no list. It is called when asynq is
// in trouble.
func (r *Repairer) Suspect() { r.suspected.Store(true) }

// Run repairs until ctx ends.
func (r *Repairer) Run(ctx context.Context) {
	if r.opts.Stray != nil {
		var beside sync.WaitGroup
		defer beside.Wait()
		beside.Go(func() { r.watchStray(ctx) })
	}
	tick := time.NewTicker(sweepPause)
	defer tick.Stop()
	for {
		r.searchAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.sweep(ctx)
			r.measure(ctx)
		}
	}
}

// sweep puts active tasks of dead workers back, and tasks that a clock which
// stepped back left far in the future.
func (r *Repairer) sweep(ctx context.Context) {
	for _, q := range r.opts.Queues {
		if err := r.sweepQueue(ctx, q); err != nil {
			r.opts.Log.Debug("sweeping failed", "error", err)
			return
		}
	}
}

func (r *Repairer) sweepQueue(ctx context.Context, q Queue) error {
	back, err := q.Tasks.Sweep(ctx)
	if err != nil {
		return err
	}
	if back > 0 {
		r.opts.Log.Warn("put tasks back that a dead worker had", "tasks", back)
	}
	back, err = q.Tasks.BringBack(ctx, q.LongestPause, q.Spread, q.Scheduled)
	if back > 0 {
		r.opts.Log.Warn("made tasks run whose time lay too far in the future: a clock stepped back", "tasks", back)
	}
	return err
}
