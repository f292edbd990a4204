package worker

import (
	"context"
	"time"
)

// endPause is between two tries to end a task that asynq says is running still.
const endPause = 200 * time.Millisecond

// endLoop brings the tasks of sessions whose work is done to their end: each is
// made to run once more, and that run writes its result.
func (f *follower) endLoop(ctx context.Context) {
	again := time.NewTicker(endPause)
	defer again.Stop()
	var running []string
	for {
		var ids []string
		select {
		case <-ctx.Done():
			f.release(context.WithoutCancel(ctx), running)
			return
		case s := <-f.ends.work:
			ids = append(f.ends.drain(), s.id)
		case <-again.C:
			ids, running = running, nil
		}
		running = append(running, f.tryRelease(ctx, ids)...)
	}
}

// tryRelease makes tasks run now and returns those for which it is to be tried
// again.
func (f *follower) tryRelease(ctx context.Context, ids []string) []string {
	if len(ids) == 0 {
		return nil
	}
	running, err := f.following.Release(ctx, ids)
	if err != nil {
		f.log.Error("ending tasks failed; trying again", "tasks", len(ids), "error", err)
		return ids
	}
	return running
}

// release hands tasks to the other workers. What cannot be released within a
// few tries comes due when its lease ends.
func (f *follower) release(ctx context.Context, ids []string) {
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
