package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

var errCut = errors.New("the test cut the connection")

// line is one worker's line to Redis. Once a command that breaks picks was done,
// its reply and every command of the next outage are lost, or held back.
type line struct {
	breaks func(args string) bool
	outage time.Duration
	holds  bool // late is what comes in the outage, and not lost

	mu    sync.Mutex
	until time.Time
	done  bool
}

func (l *line) on(o *Options) { o.Redis.(*redis.Client).AddHook(l) }

func (l *line) down() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

func (l *line) see(args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done && l.breaks(args) {
		l.done, l.until = true, time.Now().Add(l.outage)
	}
}

func (l *line) through(do func() error, args string) error {
	if left := l.down(); left > 0 {
		if !l.holds {
			return errCut
		}
		time.Sleep(left)
	}
	if err := do(); err != nil {
		return err
	}
	l.see(args)
	if left := l.down(); left > 0 {
		if !l.holds {
			return errCut
		}
		time.Sleep(left)
	}
	return nil
}

func (l *line) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *line) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := l.through(func() error { return next(ctx, cmd) }, fmt.Sprint(cmd.Args()...))
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (l *line) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return l.through(func() error { return next(ctx, cmds) }, "")
	}
}

func has(parts ...string) func(string) bool {
	return func(args string) bool {
		for _, p := range parts {
			if !strings.Contains(args, p) {
				return false
			}
		}
		return true
	}
}

// A worker loses Redis for longer than its lease in the moment in which it has
// sealed the outcome, and comes back before its claim is over.
func TestInterruption_ASealThatIsRepeatedClaimsAnew(t *testing.T) {
	sealThenLose(t, &line{breaks: has("sealed", "identification.completed"), outage: 12 * time.Second})
}

// A worker is suspended between its claim and its post.
func TestInterruption_APostEndsWithItsClaim(t *testing.T) {
	sealThenLose(t, &line{breaks: has("sealed", "identification.completed"), outage: 12 * time.Second, holds: true})
}

// sealThenLose breaks the line of a worker that has sealed an outcome, while
// another worker is there and the receiver is slow: no two posts may overlap.
func sealThenLose(t *testing.T, l *line) {
	t.Helper()
	inWorld(t, func(w *world) {
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 200, 14 * time.Second, nil }
		w.start(l.on)
		w.session("a", confirming(0))
		w.await("the seal", 5*time.Second, func() bool { return w.record("a").State == outcome.Sealed })
		w.start()
		w.await("the delivery", 2*time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		time.Sleep(20 * time.Second)
		w.checkOneStory("a")
	})
}

// The last worker dies when it has noted the removal, and the next one is
// started a day and two hours later.
func TestInterruption_NoSecondStoryAfterADayWithoutWorkers(t *testing.T) {
	inWorld(t, func(w *world) {
		l := &line{breaks: func(args string) bool {
			return strings.Contains(args, ":salvage") && strings.HasSuffix(args, string(outcome.Removed))
		}, outage: 100 * time.Hour}
		first := w.start(l.on)
		w.session("a", confirming(0))
		w.await("the removal", 10*time.Second, func() bool { return w.record("a").Removal == outcome.Removed })
		if l.down() <= 0 {
			t.Fatal("the line did not break at the note of the removal")
		}
		first.cut()
		first.stop()
		const pause = 26 * time.Hour
		time.Sleep(pause)
		w.mini.FastForward(pause)
		w.start()
		time.Sleep(40 * time.Second)
		w.checkOneStory("a")
	})
}

// The removal fails for a day, by its own schedule.
func TestInterruption_ARemovalThatFailsForADayIsNotForgotten(t *testing.T) {
	inWorld(t, func(w *world) {
		pass := func(d time.Duration) { time.Sleep(d); w.mini.FastForward(d) }
		p := w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, ServerError: 1})
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		w.rdb.HSet(w.ctx, "identwatch:default:a", "removals", 8) // as many as until then
		p.stop()
		pass(19*time.Hour + 42*time.Minute)
		p = w.start()
		time.Sleep(10 * time.Second)
		if r := w.record("a"); r.Removals != 9 {
			t.Fatalf("%+v", r)
		}
		p.stop()
		pass(7 * time.Hour) // the pause of six hours
		w.start()
		if result := w.awaitTask(queue.Remove, "a", time.Minute); result.Removal != outcome.RemovedUnknown || result.RecordLost {
			t.Errorf("the result: %+v", result)
		}
		if !strings.Contains(w.logs.String(), "could not be removed at MarkSign") {
			t.Error("nobody was told")
		}
	})
}

// A worker is suspended in its post until another has the claim, and is then
// answered 410.
func TestInterruption_AGiveUpThatAnotherForestallsEndsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			switch n {
			case 1:
				return 500, 0, nil
			case 2:
				w.rdb.HSet(w.ctx, "identwatch:default:a", "claimant", "another", "claim", time.Now().Add(10*time.Second).UnixMilli())
				return 410, 0, nil
			}
			return 200, 0, nil
		}
		w.session("a", confirming(0))
		w.await("the outcome", 3*time.Minute, func() bool { return w.record("a").State.MayRemove() })
	})
}

// SIGTERM with the shortest SHUTDOWN_TIMEOUT that is allowed, while a slow
// receiver is posted to.
func TestInterruption_AStopCutsNoPost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(r *http.Request, n int) (int, time.Duration, http.Header) {
			if r.URL.Host == "b.example" && n == 1 {
				return 500, 0, nil
			}
			return 200, 14 * time.Second, nil
		}
		first := w.start(func(o *Options) { o.ShutdownTimeout = 17 * time.Second })
		w.session("b", confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://b.example/" })
		w.await("the first post of b", 5*time.Second, func() bool { return len(w.receiver.of("b")) == 1 })
		w.session("a", confirming(0))
		w.await("the seal", 5*time.Second, func() bool { return w.record("a").State == outcome.Sealed })
		first.stop()
		for _, token := range []string{"a", "b"} {
			for i, p := range w.receiver.of(token) {
				if p.status == 0 {
					t.Errorf("post %d of %s was cut, %v after it began", i+1, token, p.end.Sub(p.begun))
				}
			}
		}
	})
}

// The removal is refused once, and Redis refuses the task of the next try for a
// while: that is still one refusal.
func TestInterruption_ARefusalIsCountedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		l := &refusing{match: has("asynq:{identwatch-remove}:t:default:a"), times: 6}
		w.start(func(o *Options) { o.Redis.(*redis.Client).AddHook(l) })
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, RemoveError: 1})
		w.session("a", confirming(0))
		w.awaitTask(queue.Remove, "a", 10*time.Minute)
		if n := w.seen("a").Removes; n != 4 {
			t.Errorf("%d DELETEs, want 4", n)
		}
	})
}

type refusing struct {
	match func(string) bool
	mu    sync.Mutex
	times int
}

func (l *refusing) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l *refusing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l *refusing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if l.match(fmt.Sprint(cmd.Args()...)) {
			l.mu.Lock()
			l.times--
			refuse := l.times >= 0
			l.mu.Unlock()
			if refuse {
				cmd.SetErr(errCut)
				return errCut
			}
		}
		return next(ctx, cmd)
	}
}

// An operator deletes the task while a poll is under way.
func TestInterruption_ADeletedSessionIsForgottenAlsoInAPoll(t *testing.T) {
	inWorld(t, func(w *world) {
		slow := &slowStatus{inner: w.sim, by: 5 * time.Second}
		w.markSign = slow
		w.start()
		w.session("a", confirming(time.Hour))
		time.Sleep(8 * time.Second)
		if err := w.tasks.DeleteTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if r := w.record("a"); r.State != outcome.None {
			t.Errorf("the record: %+v", r)
		}
	})
}

type slowStatus struct {
	inner http.RoundTripper
	by    time.Duration
}

func (s *slowStatus) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(s.by)
	return s.inner.RoundTrip(r)
}

// A worker that is full ends the task of a finished session all the same, for
// which it needs no place.
func TestInterruption_AFullWorkerEndsFinishedTasks(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.FollowLimit = 1 })
		w.session("a", confirming(0))
		w.awaitEnd("a", 10*time.Second)
		w.session("b", confirming(time.Hour))
		time.Sleep(time.Second)
		if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.awaitEnd("a", 10*time.Second)
	})
}

// Redis hangs when the worker is to stop.
func TestInterruption_AStopWithoutRedisIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		h := &hanging{}
		p := w.start(func(o *Options) { o.Redis.(*redis.Client).AddHook(h); o.ShutdownTimeout = 17 * time.Second })
		w.many(20, time.Second, 20*time.Second)
		time.Sleep(10 * time.Second)
		h.mu.Lock()
		h.hang = true
		h.mu.Unlock()
		begun := time.Now()
		p.mayEnd = errStop
		p.stop()
		if took := time.Since(begun); took > 18*time.Second || !errors.Is(p.err, errStop) {
			t.Errorf("the stop took %v and ended with %v", took, p.err)
		}
		h.mu.Lock()
		h.hang = false
		h.mu.Unlock()
	})
}

// hanging is a Redis that does not answer, as go-redis shows it after its own
// timeouts and retries.
type hanging struct {
	mu   sync.Mutex
	hang bool
}

func (h *hanging) wait() error {
	h.mu.Lock()
	hang := h.hang
	h.mu.Unlock()
	if hang {
		time.Sleep(12 * time.Second)
		return errCut
	}
	return nil
}
func (h *hanging) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *hanging) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.wait(); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

func (h *hanging) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.wait(); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// Every answer of Redis takes over a second, as with a disk that is slow to sync.
func TestInterruption_ASlowRedisStillDelivers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) {
			o.Redis.(*redis.Client).AddHook(lagging(1100 * time.Millisecond))
			o.ShutdownTimeout = 5 * time.Minute
		})
		w.session("a", confirming(0))
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
	})
}

type lagging time.Duration

func (l lagging) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l lagging) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l lagging) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		defer time.Sleep(time.Duration(l))
		return next(ctx, cmd)
	}
}

// Redis loses asynq's lease entry of a task, as by a failover
// (hibiken/asynq#1144), and the run ends before the sweep sees it: asynq's
// scripts then take the task out of one list and put it into none.
func TestInterruption_ATaskThatLosesItsLeaseWhileItRunsIsFound(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return 500, 0, nil
			}
			w.rdb.Del(w.ctx, "asynq:{"+queue.Deliver+"}:lease")
			if n == 2 {
				return 500, 200 * time.Millisecond, nil
			}
			return 204, 200 * time.Millisecond, nil
		}
		first := w.start()
		const n = 8
		for i := range n {
			w.session(fmt.Sprint("a", i), confirming(0))
		}
		time.Sleep(500 * time.Millisecond)
		first.stop() // another worker does not have the events in its list: the tasks' runs post them
		w.start()
		for i := range n {
			token := fmt.Sprint("a", i)
			w.await("the delivery", 2*time.Minute, func() bool { return w.record(token).State == outcome.Delivered })
			w.checkOneStory(token)
			w.await("the end of the task", 30*time.Second, func() bool { return w.ended(token) })
		}
		if !strings.Contains(w.logs.String(), "Will retry syncing") {
			t.Fatal("asynq lost no task")
		}
	})
}

// ended reports whether a delivery's task is completed.
func (w *world) ended(token string) bool {
	info, err := w.tasks.GetTaskInfo(queue.Deliver, "default:"+token)
	return err == nil && info.State == asynq.TaskStateCompleted
}

// An operator runs the removal early, or two workers' clocks are apart: the
// DELETE goes out no sooner for it.
func TestInterruption_ARemovalThatRunsEarlyWaits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1, 500)
		w.start()
		w.session("a", confirming(0))
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.await("the removal's task", time.Second, func() bool { return w.tasks.RunTask(queue.Remove, "default:a") == nil })
		w.await("its early run", time.Second, func() bool {
			info, err := w.tasks.GetTaskInfo(queue.Remove, "default:a")
			return err == nil && info.State == asynq.TaskStateRetry
		})
		w.await("the removal", 10*time.Second, func() bool { return w.record("a").Removal == outcome.Removed })
		w.checkOneStory("a")
	})
}

// A session's task runs again at its own worker, and Redis answers that run so late that
// the session's lease ends meanwhile: it is followed again at once, and not after
// another lease.
func TestInterruption_ASessionDroppedDuringItsRunIsFollowedOn(t *testing.T) {
	inWorld(t, func(w *world) {
		const answered = 20 * time.Second // two leases
		slow := &slowTaking{}
		p := w.start(func(o *Options) { o.Redis.(*redis.Client).AddHook(slow) })
		w.session("a", confirming(time.Minute))
		time.Sleep(3 * time.Second)
		slow.by.Store(int64(answered))
		if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(answered - time.Second)
		if p.of("default:a").follower.Holds("default:a") {
			t.Fatal("the session is still held: the test shows nothing")
		}
		polls := w.seen("a").Polls
		time.Sleep(3 * time.Second)
		if w.seen("a").Polls == polls {
			t.Error("nobody polls the session")
		}
		w.awaitEnd("a", 2*time.Minute)
		w.checkOneStory("a")
	})
}

// slowTaking delays the answer to one taking of a session.
type slowTaking struct{ by atomic.Int64 }

func (s *slowTaking) DialHook(next redis.DialHook) redis.DialHook { return next }
func (s *slowTaking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *slowTaking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	takes := has("evalsha", " identwatch:default:", lease.ResultField)
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if takes(fmt.Sprintln(cmd.Args()...)) {
			time.Sleep(time.Duration(s.by.Swap(0)))
		}
		return err
	}
}
