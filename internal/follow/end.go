package follow

import (
	"context"
	"time"
)

// endPause is between two tries to end a task that asynq says is still running.
const endPause = 200 * time.Millisecond

// endLoop ends the tasks of sessions whose work is done: each is made to run once
// more, and that run writes its result.
func (f *Follower) endLoop(ctx context.Context) {
	again := time.NewTicker(endPause)
	defer again.Stop()
	var running []string
	for {
		var ids []string
		select {
		case <-ctx.Done():
			f.release(context.WithoutCancel(ctx), running)
			return
		case <-f.ended:
			ids = f.takeEnds()
		case <-again.C:
			ids, running = running, nil
		}
		running = append(running, f.tryRelease(ctx, ids)...)
	}
}

// takeEnds returns the sessions whose task is to end, once.
func (f *Follower) takeEnds() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := f.ends
	f.ends = nil
	return ids
}

// tryRelease makes tasks run now and returns those that it is to be tried again for.
func (f *Follower) tryRelease(ctx context.Context, ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	running, err := f.opts.Tasks.Release(ctx, ids)
	if err != nil {
		f.opts.Log.Error("ending tasks failed; trying again", "tasks", len(ids), "error", err)
		return ids
	}
	return running
}

// release gives tasks to the other workers. What cannot be released within a few
// tries comes due when its lease ends.
func (f *Follower) release(ctx context.Context, ids []string) {
	const tries = 5
	for try := 1; ; try++ {
		if ids = f.tryRelease(ctx, ids); len(ids) == 0 || try == tries {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(endPause):
		}
	}
}
