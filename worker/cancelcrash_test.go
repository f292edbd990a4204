//go:build !race

// The race detector makes these many deaths too long; .ci/run runs them without
// it.

package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
)

// dying is the line to Redis of a process that dies after a command, whose answer
// it does not hear.
type dying struct {
	at int // from 1; 0 is never

	mu    sync.Mutex
	names []string
}

func (d *dying) pass(name string, do func() error) error {
	d.mu.Lock()
	dead := d.at > 0 && len(d.names) >= d.at
	d.names = append(d.names, name)
	dies := len(d.names) == d.at
	d.mu.Unlock()
	if dead {
		return errCut
	}
	if err := do(); err != nil && !dies {
		return err
	}
	if dies {
		return errCut
	}
	return nil
}

func (d *dying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := d.pass(cmd.Name(), func() error { return next(ctx, cmd) })
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return d.pass("pipeline", func() error { return next(ctx, cmds) })
	}
}

// The process that cancels dies after every single command. What it noted is done
// all the same, by the workers or by whoever repeats the call.
func TestCancel_DiesAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		before func(w *world) // how the session stands
		after  func(w *world) // what happens once the process is dead
	}{
		{"followed", func(w *world) { w.followFor(2 * time.Second) }, func(*world) {}},
		{"followed by one that dies too", func(w *world) { w.followFor(2 * time.Second).cut() }, func(w *world) { w.followFor(0) }},
		{"waiting", func(*world) {}, func(w *world) { w.followFor(0) }},
		{"repeated", func(*world) {}, func(w *world) { w.cancel("a"); w.followFor(0) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			steps := cancelDying(t, 0, row.before, row.after)
			if steps < 6 {
				t.Fatalf("cancelling took %d steps", steps)
			}
			for at := 1; at <= steps; at++ {
				t.Run(fmt.Sprint("step ", at), func(t *testing.T) { cancelDying(t, at, row.before, row.after) })
			}
		})
	}
}

// cancelDying cancels the session a, dies after a step, and returns how many it was.
func cancelDying(t *testing.T, at int, before, after func(*world)) (steps int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inBubble(t, func(w *world) {
			w.session("a", confirming(12*time.Hour))
			before(w)
			line := &dying{at: at}
			_, err := w.admin(line).Cancel(w.ctx, named("a"))
			if steps = len(line.names); (err != nil) != (at > 0) {
				t.Fatalf("error %v, died at %d of %v", err, at, line.names)
			}
			after(w)
			time.Sleep(7 * time.Second) // a lease, and the removal
			if w.record("a").State != outcome.Cancelled {
				w.cancel("a")
			}
			w.checkCancelled("a")
		})
	})
	return steps
}

// followFor starts a worker with the shortest lease, and lets it follow.
func (w *world) followFor(d time.Duration) *process {
	p := w.start(func(o *Options) { o.Lease = 3 * time.Second })
	time.Sleep(d)
	return p
}
