package worker

import (
	"context"
	"crypto/rand"
	"time"
)

const (
	sweepPause = time.Second
	mendPause  = time.Hour
)

// startSweeping mends, for as long as ctx lasts, what dead workers and a Redis
// that lost data left behind. The channel is closed when it has ended.
func (w *Worker) startSweeping(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		sweep := time.NewTicker(sweepPause)
		defer sweep.Stop()
		mend := time.NewTicker(mendPause)
		defer mend.Stop()
		w.mendOrphans(ctx)
		for {
			select {
			case <-ctx.Done():
				return
			case <-sweep.C:
				w.sweep(ctx)
			case <-mend.C:
				w.mendOrphans(ctx)
			}
		}
	}()
	return done
}

// sweep puts active tasks of dead workers back.
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
	}
}

// mendOrphans makes tasks run that are in no list.
func (w *Worker) mendOrphans(ctx context.Context) {
	for _, q := range w.queues {
		mended, err := q.MendOrphans(ctx)
		if err != nil {
			w.log.Debug("looking for lost tasks failed", "error", err)
			return
		}
		if mended > 0 {
			w.log.Warn("made tasks run that were in no list", "tasks", mended)
		}
	}
}

func newClaimant() string { return rand.Text()[:8] }
