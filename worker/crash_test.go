//go:build !race

// The race detector makes these lives of many steps and hours too long; .ci/run
// runs them without it.

package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// steps counts what a worker does for the session a: its commands to Redis, its
// calls of MarkSign and its posts. Right after the step chosen the worker dies,
// before it hears what came of it.
type steps struct {
	inner http.RoundTripper // MarkSign
	at    int               // the step, from 1; 0 is never
	away  time.Duration     // until another worker comes
	die   func()

	mu    sync.Mutex
	names []string
	died  bool
}

func (s *steps) on(o *Options) { o.Redis.(*redis.Client).AddHook(s) }

// pass counts a step and does it, where the worker is not dead yet.
func (s *steps) pass(name string, do func() error) error {
	s.mu.Lock()
	dead := s.died
	if !dead {
		s.names = append(s.names, name)
		s.died = len(s.names) == s.at
	}
	dies := !dead && s.died
	s.mu.Unlock()
	if dead {
		return errCut
	}
	err := do()
	if dies {
		s.die()
		return errCut
	}
	return err
}

// RoundTrip is the way to MarkSign.
func (s *steps) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	err = s.pass(r.Method, func() (err error) {
		resp, err = s.inner.RoundTrip(r) //nolint:bodyclose // the caller of RoundTrip closes it
		return err
	})
	return resp, err
}

func (s *steps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *steps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return s.command(cmd, func() error { return next(ctx, cmd) }, cmd)
	}
}

func (s *steps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return s.command(cmds[0], func() error { return next(ctx, cmds) }, cmds...)
	}
}

// command passes what concerns the session: a command that names it, and the one
// that took its task from a queue, which names it in the reply.
func (s *steps) command(first redis.Cmder, do func() error, cmds ...redis.Cmder) error {
	named := func(text string) bool { return strings.Contains(text, "default:a") }
	if !named(fmt.Sprint(first.Args()...)) {
		if err := do(); err != nil || !named(first.String()) {
			return err
		}
		do = func() error { return nil }
	}
	err := s.pass(first.Name(), do)
	if errors.Is(err, errCut) {
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
	}
	return err
}

// A worker dies after every single step that it takes for a session, which is
// before the next, and another one goes on: between sealing and posting, between the 2xx and its
// note, the note and the DELETE, the DELETE and its note, that and the end of the
// task, and wherever else there is something between.
func TestWorker_DiesAtEveryStepOfASession(t *testing.T) {
	t.Parallel()
	var walk []string
	t.Run("to the end", func(t *testing.T) { dieAt(t, &steps{}, &walk) })
	if len(walk) < 12 || !strings.Contains(strings.Join(walk, " "), "post") || !strings.Contains(strings.Join(walk, " "), http.MethodDelete) {
		t.Fatalf("the steps of a session: %q", walk)
	}
	t.Run("and not", func(t *testing.T) {
		for i, name := range walk {
			t.Run(fmt.Sprintf("step %d, %s", i+1, name), func(t *testing.T) {
				t.Parallel()
				dieAt(t, &steps{at: i + 1}, nil)
			})
		}
	})
}

// No other worker comes for longer than the record is kept of a session that is over.
func TestWorker_DiesAtEveryStepOfTheEndAndNoneComesForADay(t *testing.T) {
	t.Parallel()
	var walk []string
	t.Run("to the end", func(t *testing.T) { dieAt(t, &steps{}, &walk) })
	removed := slices.Index(walk, http.MethodDelete)
	t.Run("and not", func(t *testing.T) {
		const longer = 3 // one walk may take some steps more than another
		for at := removed + 2; at <= len(walk)+longer; at++ {
			t.Run(fmt.Sprint("step ", at), func(t *testing.T) {
				t.Parallel()
				dieAt(t, &steps{at: at, away: 26 * time.Hour}, nil)
			})
		}
	})
}

// dieAt lets a worker die at a step and another go on, and returns in walk the
// steps until then.
func dieAt(t *testing.T, s *steps, walk *[]string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { inBubble(t, func(w *world) { s.walk(w, walk) }) })
}

func (s *steps) walk(w *world, names *[]string) {
	s.inner = w.sim
	w.markSign = s
	var first *process
	s.die = func() { first.cut() }
	w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) {
		_ = s.pass("post", func() error { return nil })
		return http.StatusNoContent, 0, nil
	}
	first = w.start(s.on)
	w.session("a", confirming(1200*time.Millisecond))
	w.await("the first worker's end", 20*time.Second, func() bool { return s.over() || w.quiet() })
	if !s.over() && s.at > 0 {
		return // the walk was a step shorter this time
	}
	w.markSign = w.sim
	if s.away > 0 {
		first.stop()
		w.age(s.away)
	}
	expired := s.away > 0 && w.record("a").State == outcome.None
	w.start()
	w.await("the end of all tasks", time.Minute, func() bool { return w.quiet() || w.onlyRemovalIsRefused() })
	w.checkStoryAfterDeath(expired)
	if names != nil {
		*names = s.names
	}
}

func (s *steps) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.died
}

// quiet reports whether no task waits or runs.
func (w *world) quiet() bool {
	for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		info, err := w.tasks.GetQueueInfo(queue)
		if err != nil || info.Pending+info.Active+info.Scheduled+info.Retry+info.Archived > 0 {
			return false
		}
	}
	return true
}

// onlyRemovalIsRefused reports whether MarkSign, which has removed the session
// already, refuses to do it again: the DELETE's note died with the worker.
func (w *world) onlyRemovalIsRefused() bool {
	return w.seen("a").Removes > 0 && w.record("a").Refusals > 0
}

// checkStoryAfterDeath allows one post more than the story needs. A record that has
// expired must not have come back.
func (w *world) checkStoryAfterDeath(expired bool) {
	w.t.Helper()
	posts := w.receiver.of("a")
	if len(posts) == 0 || len(posts) > 2 {
		w.t.Fatalf("%d posts", len(posts))
	}
	for i, p := range posts {
		if p.id != posts[0].id || p.body != posts[0].body || i > 0 && p.begun.Before(posts[i-1].end) {
			w.t.Errorf("post %d tells another story, or overlaps", i+1)
		}
	}
	seen, record := w.seen("a"), w.record("a")
	noteLost := record.Refusals > 0 // of the DELETE
	if seen.Removes < 1 || seen.Removes > 1 && !noteLost || seen.RemovedAt.Before(posts[0].end.Add(outcome.RemovalDelay-5*time.Millisecond)) || seen.Outcome != marksim.Confirms {
		w.t.Errorf("at MarkSign: %+v, the first post ended %v", seen, posts[0].end)
	}
	if expired != (record.State == outcome.None) || !expired && record.State != outcome.Delivered || record.HasSealed() {
		w.t.Errorf("the record: %+v", record)
	}
	w.checkNothingPersonal()
}
