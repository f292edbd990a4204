package repair

import (
	"context"
	"time"
)

const (
	searchPause = 10 * time.Minute
	// leastOrphanPause is between two looks for tasks in no list while asynq is in
	// trouble. It doubles while the trouble lasts and nothing is found, because a
	// look reads the whole key space.
	leastOrphanPause = 2 * time.Second
	mostOrphanPause  = time.Minute
)

// search says when everything was last looked at.
type search struct {
	orphans, redeliveries time.Time
	pause                 time.Duration // before the next look for tasks in no list
}

// searchAll looks for what is lost: at the start, each ten minutes, and for tasks
// in no list also soon after asynq was in trouble.
func (r *Repairer) searchAll(ctx context.Context) {
	s := &r.search
	s.pause = max(s.pause, leastOrphanPause)
	if since := time.Since(s.orphans); since >= searchPause || since >= s.pause && r.suspected.Load() {
		quiet := since > 2*s.pause
		s.pause = min(2*s.pause, mostOrphanPause)
		if r.mendOrphans(ctx) || quiet {
			s.pause = leastOrphanPause
		}
		s.orphans = time.Now()
	}
	if time.Since(s.redeliveries) >= searchPause {
		if err := r.mendRedeliveries(ctx); err != nil {
			r.opts.Log.Debug("looking for redeliveries failed", "error", err)
		}
		s.redeliveries = time.Now()
	}
}

// mendOrphans makes tasks run that are in no list, and reports whether there were any.
func (r *Repairer) mendOrphans(ctx context.Context) (found bool) {
	r.suspected.Store(false)
	for _, q := range r.opts.Queues {
		mended, err := q.Tasks.MendOrphans(ctx)
		if err != nil {
			r.Suspect()
			r.opts.Log.Debug("looking for lost tasks failed", "error", err)
			return found
		}
		if mended > 0 {
			found = true
			r.opts.Log.Warn("made tasks run that were in no list", "tasks", mended)
		}
	}
	if found { // a Redis that loses its last second loses this too
		r.Suspect()
	}
	return found
}
