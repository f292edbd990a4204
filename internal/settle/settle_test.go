package settle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/sessiontest"
	"github.com/identwatch/identwatch/webhook"
)

type bed struct {
	*sessiontest.Bed
	*Settler
}

func inBed(t *testing.T, test func(b *bed)) {
	t.Helper()
	sessiontest.In(t, func(s *sessiontest.Bed) {
		lost := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, []string{"account"})
		if err := lease.NewQueue(s.Redis, queue.Follow).Register(s.Ctx); err != nil { // as each worker does
			t.Fatal(err)
		}
		test(&bed{s, New(Options{Records: s.Records, Tasks: s.Tasks, RecordsLost: lost, Log: s.Log})})
	})
}

var queues = map[string]struct {
	name string
	task func(session.Job) (*asynq.Task, error)
}{
	queue.TypeFollow: {queue.Follow, queue.NewFollowTask}, queue.TypeDeliver: {queue.Deliver, queue.NewDeliverTask}, queue.TypeRemove: {queue.Remove, queue.NewRemoveTask},
}

// run runs the task of a type once, and returns what became of it.
func (b *bed) run(typ string, handle func(context.Context, *asynq.Task) error) (*asynq.TaskInfo, error) {
	b.T.Helper()
	task, err := queues[typ].task(sessiontest.Job())
	if err != nil {
		b.T.Fatal(err)
	}
	return b.RunTask(queues[typ].name, task, handle)
}

// end runs the task of a type, and ends it with a record.
func (b *bed) end(typ string, r outcome.Record) (*asynq.TaskInfo, error) {
	b.T.Helper()
	return b.run(typ, func(ctx context.Context, t *asynq.Task) error { return b.End(ctx, t, sessiontest.Job(), r) })
}

// removed is the record of a session that has nothing left to do.
func (b *bed) removed(state outcome.State) outcome.Record {
	b.T.Helper()
	b.Tell(state)
	change, err := b.Records.EndRemoval(b.Ctx, outcome.Of(sessiontest.Job()), outcome.Removed)
	if err != nil || !change.Applied {
		b.T.Fatalf("%+v, %v", change, err)
	}
	return change.Record
}

// isSettled reports whether the record lives an hour longer than its task, and no more.
func (b *bed) isSettled() bool { return b.Kept() <= sessiontest.Job().Retention+time.Hour }

func resultOf(t *testing.T, info *asynq.TaskInfo) (r Result) {
	t.Helper()
	if err := json.Unmarshal(info.Result, &r); err != nil {
		t.Fatalf("the result %q: %v", info.Result, err)
	}
	return r
}

func TestEnd_EndsTheTaskAndSettlesTheRecord(t *testing.T) {
	for typ := range queues {
		t.Run(typ, func(t *testing.T) {
			inBed(t, func(b *bed) {
				r := b.removed(outcome.Delivered)
				info, err := b.end(typ, r)
				if err != nil || info.State != asynq.TaskStateCompleted || !b.isSettled() {
					t.Errorf("the task is %v, the record is kept for %v, error %v", info.State, b.Kept(), err)
				}
				if result := resultOf(t, info); result.Outcome != string(webhook.Completed) || result.Delivery != outcome.Delivered ||
					result.Removal != outcome.Removed || result.RecordLost || result.Polls != 3 {
					t.Errorf("%+v", result)
				}
				if n := b.Logged("session finished"); n != 1 {
					t.Errorf("logged %d times that it is finished", n)
				}
			})
		})
	}
}

// While the follow task is there, it is the last task, and settles the record itself.
func TestEnd_LeavesTheRecordToTheFollowTask(t *testing.T) {
	for _, typ := range []string{queue.TypeDeliver, queue.TypeRemove} {
		for name, c := range map[string]struct {
			before  func(b *bed) error
			settled bool
		}{
			"waits":    {func(*bed) error { return nil }, false},
			"archived": {func(b *bed) error { return b.Inspector.ArchiveTask(queue.Follow, sessiontest.Job().ID()) }, false},
			"deleted":  {func(b *bed) error { return b.Inspector.DeleteTask(queue.Follow, sessiontest.Job().ID()) }, true},
			"finished": {func(b *bed) error {
				_, err := b.run(queue.TypeFollow, func(context.Context, *asynq.Task) error { return nil })
				return err
			}, true},
		} {
			t.Run(typ+" "+name, func(t *testing.T) {
				inBed(t, func(b *bed) {
					if err := errors.Join(b.Tasks.EnsureFollow(b.Ctx, sessiontest.Job()), c.before(b)); err != nil {
						t.Fatal(err)
					}
					info, err := b.end(typ, b.removed(outcome.Delivered))
					if err != nil || info.State != asynq.TaskStateCompleted || b.isSettled() != c.settled {
						t.Errorf("the task is %v, the record is kept for %v, error %v", info.State, b.Kept(), err)
					}
				})
			})
		}
	}
}

// A task may end before the session does: the record lives on, and nobody is told
// that the session is finished.
func TestEnd_OfATaskIsNotTheEndOfTheSession(t *testing.T) {
	for _, state := range []outcome.State{outcome.Handed, outcome.Delivered, outcome.GivenUp, outcome.Cancelled} {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				info, err := b.end(queue.TypeFollow, b.Tell(state))
				if err != nil || info.State != asynq.TaskStateCompleted || b.isSettled() || b.Logged("session finished") != 0 {
					t.Errorf("the task is %v, the record is kept for %v, error %v", info.State, b.Kept(), err)
				}
				if result := resultOf(t, info); result.Delivery != state || result.RecordLost {
					t.Errorf("%+v", result)
				}
			})
		})
	}
}

// No worker ran for longer than a record is kept that has nothing left to do: the task
// that is left ends as the other one did. Only what was given up may be wanted again.
func TestEnd_OfATaskWhoseSessionWasOver(t *testing.T) {
	for state, want := range map[outcome.State]asynq.TaskState{
		outcome.Delivered: asynq.TaskStateCompleted, outcome.Cancelled: asynq.TaskStateCompleted, outcome.GivenUp: asynq.TaskStateArchived,
	} {
		for _, typ := range []string{queue.TypeDeliver, queue.TypeRemove} {
			t.Run(fmt.Sprintf("%s of a session that was %s", typ, state), func(t *testing.T) {
				inBed(t, func(b *bed) {
					if _, err := b.end(queue.TypeFollow, b.removed(state)); err != nil {
						t.Fatal(err)
					}
					info, err := b.end(typ, outcome.Record{})
					if info.State != want || errors.Is(err, errRecordLost) != (want == asynq.TaskStateArchived) {
						t.Errorf("the task is %v, error %v", info.State, err)
					}
					if lost := want == asynq.TaskStateArchived; (b.Logged("is lost") == 1) != lost || resultOf(t, info).RecordLost != lost {
						t.Errorf("%s\n%s", info.Result, b.Logs())
					}
				})
			})
		}
	}
}

// What was given up can be delivered again for the redelivery window.
func TestEnd_KeepsWhatWasGivenUp(t *testing.T) {
	inBed(t, func(b *bed) {
		r := b.removed(outcome.GivenUp)
		if _, err := b.end(queue.TypeFollow, r); err != nil || b.Kept() < sessiontest.RedeliveryWindow {
			t.Errorf("the record is kept for %v, error %v", b.Kept(), err)
		}
	})
}

func TestEnd_WritesAndLogsWhatTheRecordSays(t *testing.T) {
	inBed(t, func(b *bed) {
		b.removed(outcome.Delivered)
		at := func(seconds int) time.Time { return time.Date(2030, 5, 1, 12, 0, seconds, 0, time.UTC) }
		info, err := b.end(queue.TypeFollow, outcome.Record{
			State: outcome.GivenUp, Removal: outcome.RemovedUnknown, Type: string(webhook.Failed), Reason: webhook.ReasonDeadline, Polls: 4, Attempts: 5,
			Removals: 6, LastError: "HTTP 503", Trouble: "HTTP 502", Started: at(1), Final: at(3), Ended: at(6), RemovedAt: at(10),
		})
		if err != nil {
			t.Fatal(err)
		}
		if result, want := resultOf(t, info), (Result{
			Outcome: string(webhook.Failed), Reason: webhook.ReasonDeadline, Delivery: outcome.GivenUp, Removal: outcome.RemovedUnknown, Polls: 4, Attempts: 5,
			Removals: 6, LastError: "HTTP 503", LastTrouble: "HTTP 502", StartedAt: at(1), FinalAt: at(3), EndedAt: at(6), RemovedAt: at(10),
		}); result != want {
			t.Errorf("%+v, want %+v", result, want)
		}
		const line = `session=default:a account=default outcome=identification.failed reason=deadline delivery=given_up removal=unknown ` +
			`polls=4 attempts=5 removals=6 final_after=2 ended_after=3 removed_after=4 last_error="HTTP 503" last_trouble="HTTP 502"`
		if b.Logged(line) != 1 {
			t.Errorf("the log:\n%s", b.Logs())
		}
	})
}

// A task that is ended without a run shows the same as one that ran. What proves that
// it may end is that the record says how the session was removed.
func TestFinished_IsTheTaskAsARunWouldEndIt(t *testing.T) {
	inBed(t, func(b *bed) {
		r := b.removed(outcome.Delivered)
		info, err := b.end(queue.TypeFollow, r)
		if err != nil {
			t.Fatal(err)
		}
		job := sessiontest.Job()
		task := b.Finished(job, r)
		if task == nil || task.ID != job.ID() || string(task.Result) != string(info.Result) || task.Retention != job.Retention {
			t.Fatalf("%+v; the run wrote %s", task, info.Result)
		}
		if want := (lease.Proof{Key: "identwatch:default:a", Field: "removal", Value: "removed", Kept: job.Retention + time.Hour}); task.Proof != want {
			t.Errorf("the proof is %+v, want %+v", task.Proof, want)
		}
		if n := b.Logged("session finished"); n != 2 {
			t.Errorf("logged %d times that a session is finished", n)
		}
	})
}

// A run has to see whether somebody delivers a given-up event after all.
func TestFinished_IsNoneIfTheEventWasNotDelivered(t *testing.T) {
	inBed(t, func(b *bed) {
		if task := b.Finished(sessiontest.Job(), b.removed(outcome.GivenUp)); task != nil {
			t.Errorf("%+v", task)
		}
		if n := b.Logged("session finished"); n != 0 {
			t.Errorf("logged %d times that a session is finished", n)
		}
	})
}

func TestBetween_IsZeroForWhatNeverCame(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		from, to time.Time
		want     float64
	}{
		"both": {at, at.Add(1500 * time.Millisecond), 1.5}, "no beginning": {time.Time{}, at, 0}, "no end": {at, time.Time{}, 0}, "a clock that stepped back": {at, at.Add(-time.Second), 0},
	} {
		if got := between(c.from, c.to); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The session had its outcome. A task of a later queue stays, for an operator to see.
func TestEnd_SaysLoudlyThatTheRecordIsLost(t *testing.T) {
	for typ, want := range map[string]asynq.TaskState{
		queue.TypeFollow: asynq.TaskStateCompleted, queue.TypeDeliver: asynq.TaskStateArchived, queue.TypeRemove: asynq.TaskStateArchived,
	} {
		t.Run(typ, func(t *testing.T) {
			inBed(t, func(b *bed) {
				info, err := b.end(typ, outcome.Record{})
				if info.State != want || errors.Is(err, errRecordLost) != (want == asynq.TaskStateArchived) {
					t.Errorf("the task is %v, want %v; the handler returned %v", info.State, want, err)
				}
				if want == asynq.TaskStateArchived && !strings.Contains(info.LastErr, "docs/reliability.md") {
					t.Errorf("the operator reads %q", info.LastErr)
				}
				if result := resultOf(t, info); !result.RecordLost {
					t.Errorf("%+v", result)
				}
				if n := testutil.ToFloat64(b.opts.RecordsLost.WithLabelValues("default")); n != 1 || b.Logged("level=ERROR") != 1 {
					t.Errorf("%v lost records are counted; the log:\n%s", n, b.Logs())
				}
				if r := b.Record(); r.State != outcome.None {
					t.Errorf("a record begins: %q", r.State)
				}
			})
		})
	}
}

// A task ends only when Redis has what is to be said of it.
func TestEnd_WaitsForRedis(t *testing.T) {
	for name, lost := range map[string]bool{"to settle the record": false, "to write that the record is lost": true} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				r := b.removed(outcome.Delivered)
				if lost {
					r = outcome.Record{}
				}
				info, err := b.run(queue.TypeDeliver, func(ctx context.Context, t *asynq.Task) error {
					b.RedisFails()
					defer b.RedisIsBack()
					return b.End(ctx, t, sessiontest.Job(), r)
				})
				if err == nil || info.State != asynq.TaskStateRetry || b.isSettled() || strings.Contains(info.LastErr, "ERR") {
					t.Errorf("the task is %v, %q; the handler returned %v", info.State, info.LastErr, err)
				}
			})
		})
	}
}

// A follow task that cannot settle its record does not end.
func TestEnd_WaitsForRedisToSettle(t *testing.T) {
	inBed(t, func(b *bed) {
		r := b.removed(outcome.Delivered)
		info, err := b.run(queue.TypeFollow, func(ctx context.Context, t *asynq.Task) error {
			ended, stop := context.WithCancel(ctx)
			stop() // settling alone asks Redis with this context
			return b.End(ended, t, sessiontest.Job(), r)
		})
		if err == nil || info.State != asynq.TaskStateRetry || info.Retried != 0 || b.isSettled() {
			t.Errorf("the task is %v, retried %d times; the handler returned %v", info.State, info.Retried, err)
		}
	})
}

// Redis lost a note, so the record stands further back than the task that runs.
func TestRevive_MakesSureThatSomebodyGoesOn(t *testing.T) {
	for state, want := range map[outcome.State]string{
		outcome.None: "", outcome.Following: queue.Follow, outcome.Sealed: queue.Follow, outcome.Handed: queue.Deliver,
		outcome.Delivered: "", outcome.GivenUp: "", outcome.Redelivering: "", outcome.Cancelled: "",
	} {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				r := b.Tell(state)
				for range 2 { // the second finds it there
					if err := b.Revive(b.Ctx, sessiontest.Job(), r); err != nil {
						t.Fatal(err)
					}
				}
				for _, name := range []string{queue.Follow, queue.Deliver, queue.Remove} {
					info, err := b.Tasks.Find(name, sessiontest.Job().ID())
					if err != nil || (info != nil) != (name == want) || info != nil && info.State != asynq.TaskStatePending {
						t.Errorf("%s: %+v, %v", name, info, err)
					}
				}
				b.RedisFails()
				if err := b.Revive(b.Ctx, sessiontest.Job(), r); (err != nil) != (want != "") {
					t.Errorf("without Redis: %v", err)
				}
			})
		})
	}
}
