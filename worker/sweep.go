package worker

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/identwatch/identwatch/internal/lease"
)

const (
	sweepPause = time.Second
	mendPause  = 10 * time.Minute
	// leastMendPause is between two looks for orphans when asynq is in trouble. It
	// doubles while the trouble lasts and nothing is found, for a look reads the whole
	// key space.
	leastMendPause = 2 * time.Second
	mostMendPause  = time.Minute
	measurePause   = 5 * time.Second
)

// startSweeping mends, for as long as ctx lasts, what dead workers and a Redis
// that lost data left behind. The channel is closed when it has ended.
func (w *Worker) startSweeping(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sweepPause)
		defer tick.Stop()
		var mended mending
		for {
			w.mend(ctx, &mended)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				w.sweep(ctx)
				w.logTakeovers()
				w.measure(ctx, &mended)
			}
		}
	}()
	return done
}

// suspectOrphans has the next sweep look for tasks that are in no list.
func (w *Worker) suspectOrphans() { w.orphans.Store(true) }

// sweep puts active tasks of dead workers back, and tasks that a clock which
// stepped back left far in the future.
func (w *Worker) sweep(ctx context.Context) {
	for _, q := range w.queues {
		back, err := q.Sweep(ctx)
		if err != nil {
			w.log.Debug("sweeping failed", "error", err)
			return
		}
		if back > 0 {
			w.log.Warn("put tasks back that a dead worker had", "tasks", back)
		}
		if back, err = w.bringBack(ctx, q); err != nil {
			w.log.Debug("sweeping failed", "error", err)
			return
		}
		if back > 0 {
			w.log.Warn("made tasks run whose time lay too far in the future: a clock stepped back", "tasks", back)
		}
	}
}

// bringBack knows the longest pause in each queue: of a follow task that is the
// longest lease, and of the others that of the schedule. An application may have
// scheduled a follow task itself.
func (w *Worker) bringBack(ctx context.Context, q *lease.Queue) (int, error) {
	if q == w.following {
		return q.BringBack(ctx, maxLease, time.Second, false)
	}
	return q.BringBack(ctx, longestPause, time.Minute, true)
}

// mending says when it was last looked for what is to be mended, and measured.
type mending struct {
	orphans, redeliveries, measured time.Time
	pause                           time.Duration // before the next look for orphans
}

// measure tells the metrics of the queues. It also makes them known anew, for a
// Redis that lost its data does not know them.
func (w *Worker) measure(ctx context.Context, last *mending) {
	if time.Since(last.measured) < measurePause {
		return
	}
	last.measured = time.Now()
	for _, q := range w.queues {
		sizes, err := q.Sizes(ctx)
		if err == nil {
			err = q.Register(ctx)
		}
		if err != nil {
			w.metrics.queuesUnknown()
			w.log.Debug("measuring a queue failed", "error", err)
			return
		}
		w.metrics.queue(q.Name(), sizes)
	}
}

// mend looks for what is lost: at the start, each ten minutes, and for orphans
// also soon after asynq was in trouble.
func (w *Worker) mend(ctx context.Context, last *mending) {
	last.pause = max(last.pause, leastMendPause)
	if since := time.Since(last.orphans); since >= mendPause || since >= last.pause && w.orphans.Load() {
		quiet := since > 2*last.pause
		last.pause = min(2*last.pause, mostMendPause)
		if w.mendOrphans(ctx) || quiet {
			last.pause = leastMendPause
		}
		last.orphans = time.Now()
	}
	if time.Since(last.redeliveries) >= mendPause {
		w.mendRedeliveries(ctx)
		last.redeliveries = time.Now()
	}
}

// mendOrphans makes tasks run that are in no list, and reports whether there were any.
func (w *Worker) mendOrphans(ctx context.Context) (found bool) {
	w.orphans.Store(false)
	for _, q := range w.queues {
		mended, err := q.MendOrphans(ctx)
		if err != nil {
			w.suspectOrphans()
			w.log.Debug("looking for lost tasks failed", "error", err)
			return found
		}
		if mended > 0 {
			found = true
			w.log.Warn("made tasks run that were in no list", "tasks", mended)
		}
	}
	return found
}

func newClaimant() string { return rand.Text()[:8] }
