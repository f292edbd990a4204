package follow

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/lease"
)

// endPause is for how long ends are collected, and between two tries to end a task that
// asynq says is still running. It is far shorter than what is left of a lease.
const endPause = 200 * time.Millisecond

// end is what becomes of the task of a session whose work is done here.
type end struct {
	id       string
	finished *lease.Finished // nil: it is run now, here or by another process
}

// endLoop ends the tasks of sessions whose work is done, many at a time.
func (f *Follower) endLoop(ctx context.Context) {
	var again []end
	for {
		if len(again) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-f.ended:
			}
		}
		select {
		case <-ctx.Done():
			f.endAll(context.WithoutCancel(ctx), again)
			return
		case <-time.After(endPause):
			again = f.tryEnd(ctx, append(again, f.takeEnds()...))
		}
	}
}

// takeEnds returns the ends since it was called last.
func (f *Follower) takeEnds() []end {
	f.mu.Lock()
	defer f.mu.Unlock()
	ends := f.ends
	f.ends = nil
	return ends
}

// tryEnd ends tasks, and returns those that it is to be tried again for.
func (f *Follower) tryEnd(ctx context.Context, ends []end) (again []end) {
	if len(ends) == 0 {
		return nil
	}
	running, err := f.endTasks(ctx, ends)
	if err != nil {
		f.opts.Log.Error("ending tasks failed; trying again", "tasks", len(ends), "error", err)
		return ends
	}
	for _, e := range ends {
		if running[e.id] {
			again = append(again, e)
		}
	}
	return again
}

// endTasks returns the tasks that could not be ended because they are running.
func (f *Follower) endTasks(ctx context.Context, ends []end) (running map[string]bool, err error) {
	var finished []lease.Finished
	var due []string
	for _, e := range ends {
		if e.finished != nil {
			finished = append(finished, *e.finished)
		} else {
			due = append(due, e.id)
		}
	}
	running = map[string]bool{}
	active, err := f.opts.Tasks.Finish(ctx, finished)
	if err != nil {
		return nil, err
	}
	for _, id := range active {
		running[id] = true
	}
	active, err = f.opts.Tasks.Release(ctx, due)
	for _, id := range active {
		running[id] = true
	}
	return running, err
}

// endAll ends tasks before the process stops. What cannot be ended within a few tries
// comes due when its lease ends.
func (f *Follower) endAll(ctx context.Context, ends []end) {
	const tries = 5
	for try := 1; ; try++ {
		if ends = f.tryEnd(ctx, ends); len(ends) == 0 || try == tries {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(endPause):
		}
	}
}
