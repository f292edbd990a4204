package repair

import (
	"context"
	"time"
)

// strayPause is between two looks for stray tasks, and so between two warnings.
const strayPause = time.Minute

// watchStray warns while tasks wait in the queue that a Redis with one shard has: here
// no worker serves it, and nobody would ever find them. It runs beside the rest, because
// the queue may be on a master that is away.
func (r *Repairer) watchStray(ctx context.Context) {
	tick := time.NewTicker(strayPause)
	defer tick.Stop()
	for {
		r.warnOfStray(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *Repairer) warnOfStray(ctx context.Context) {
	sizes, err := r.opts.Stray.Sizes(ctx)
	if err != nil {
		r.opts.Log.Debug("measuring a queue failed", "error", err)
		return
	}
	waiting := sizes.Tasks["pending"] + sizes.Tasks["scheduled"] + sizes.Tasks["retry"]
	if waiting == 0 {
		return
	}
	r.opts.Log.Warn("tasks wait in a queue that no worker serves, because sessions are spread over shards here: "+
		"enqueue them again with the queue of tasks.FollowQueue, and delete them in this one",
		"queue", r.opts.Stray.Name(), "tasks", waiting)
}
