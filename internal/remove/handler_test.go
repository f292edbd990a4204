package remove

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/sessiontest"
	"github.com/identwatch/identwatch/internal/taskserver"
	"github.com/identwatch/identwatch/webhook"
)

// run runs the session's task of session:remove once.
func (b *bed) run() (*asynq.TaskInfo, error) {
	b.T.Helper()
	task, err := queue.NewRemoveTask(sessiontest.Job())
	if err != nil {
		b.T.Fatal(err)
	}
	return b.RunTask(queue.Remove, task, func(ctx context.Context, t *asynq.Task) error {
		return b.Run(ctx, t, b.account, sessiontest.Job())
	})
}

func TestRun_SaysWhatBecomesOfTheTask(t *testing.T) {
	type between struct{ least, most time.Duration }
	for name, c := range map[string]struct {
		before func(b *bed)
		state  asynq.TaskState
		after  between // until it runs again
		why    string
		calls  int
	}{
		"removed": {func(b *bed) { b.due(outcome.Delivered) }, asynq.TaskStateCompleted, between{}, "", 1},
		"given up": {func(b *bed) {
			b.due(outcome.Delivered)
			b.Redis.HSet(b.Ctx, "identwatch:default:a", "refusals", maxRefusals-1)
			b.MarkSign.Says(sessiontest.NoRemoval)
		}, asynq.TaskStateCompleted, between{}, "", 1},
		"removed by another": {func(b *bed) {
			b.due(outcome.Delivered)
			b.attempt()
			b.MarkSign.Calls()
		}, asynq.TaskStateCompleted, between{}, "", 0},
		"the record is lost": {func(*bed) {}, asynq.TaskStateArchived, between{}, "record in Redis is lost", 0},
		"down": {func(b *bed) {
			b.due(outcome.Delivered)
			b.MarkSign.Says(sessiontest.Down)
		}, asynq.TaskStateRetry, between{6 * time.Second, 6500 * time.Millisecond}, "removing the session failed: HTTP 503", 1},
		"token rejected": {func(b *bed) {
			b.due(outcome.Delivered)
			b.MarkSign.Says(sessiontest.Error(40003))
		}, asynq.TaskStateRetry, between{5 * time.Second, 10 * time.Second}, WhyRejected, 1},
		"token rejected, and the record is lost": {func(b *bed) {
			b.reject()
		}, asynq.TaskStateArchived, between{}, "record in Redis is lost", 0},
		"token rejected, and removed by another": {func(b *bed) {
			b.due(outcome.Delivered)
			b.attempt()
			b.reject()
		}, asynq.TaskStateCompleted, between{}, "", 0},
		"token rejected, and not delivered": {func(b *bed) {
			b.due(outcome.Handed)
			b.reject()
		}, asynq.TaskStateRetry, between{deliveryPause, deliveryPause}, "to be delivered before", 0},
		"no replica": {func(b *bed) {
			b.due(outcome.Delivered)
			b.replicate("1", 0, new(int))
		}, asynq.TaskStateRetry, between{replicaPause, replicaPause}, WhyNotReplicated, 0},
		"too early": {func(b *bed) {
			b.Tell(outcome.Delivered)
			time.Sleep(500 * time.Millisecond)
		}, asynq.TaskStateRetry, between{2400 * time.Millisecond, 2500 * time.Millisecond}, "ended a moment ago", 0},
		"kept": {func(b *bed) {
			b.due(outcome.Delivered)
			b.Redis.HSet(b.Ctx, "identwatch:default:a", "reason", webhook.ReasonUnusableAnswer)
		}, asynq.TaskStateRetry, between{keptPause + time.Second, keptPause + time.Second}, WhyKept, 0},
		"kept for a minute more": {func(b *bed) {
			b.Tell(outcome.Delivered)
			b.Redis.HSet(b.Ctx, "identwatch:default:a", "reason", webhook.ReasonUnusableAnswer)
			time.Sleep(sessiontest.RedeliveryWindow - time.Minute)
		}, asynq.TaskStateRetry, between{60 * time.Second, 61 * time.Second}, WhyKept, 0},
		"not delivered":  {func(b *bed) { b.due(outcome.Handed) }, asynq.TaskStateRetry, between{deliveryPause, deliveryPause}, "to be delivered before", 0},
		"still followed": {func(b *bed) { b.due(outcome.Following) }, asynq.TaskStateRetry, between{deliveryPause, deliveryPause}, "to be delivered before", 0},
		"others have their share": {func(b *bed) {
			b.due(outcome.Delivered)
			for b.opts.Slots.Take("default") {
			}
		}, asynq.TaskStateRetry, between{sharePause, 2 * sharePause}, "as its share allows", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				c.before(b)
				info, err := b.run()
				var pause *taskserver.Pause
				switch {
				case info.State != c.state:
					t.Fatalf("the task is %v, want %v; the handler returned %v", info.State, c.state, err)
				case errors.As(err, &pause) != (c.state == asynq.TaskStateRetry):
					t.Fatalf("the handler returned %v", err)
				case pause != nil && (pause.After < c.after.least || pause.After > c.after.most || pause.Failed != (name == "down")):
					t.Errorf("it runs again after %v, as failed: %v", pause.After, pause.Failed)
				}
				if !strings.Contains(info.LastErr, c.why) {
					t.Errorf("the operator reads %q, want %q", info.LastErr, c.why)
				}
				if n := len(b.MarkSign.Calls()); n != c.calls {
					t.Errorf("%d calls, want %d", n, c.calls)
				}
			})
		})
	}
}

// reject has MarkSign reject the account.
func (b *bed) reject() {
	b.T.Helper()
	b.MarkSign.Says(sessiontest.Error(40003))
	for range 3 {
		p, _ := b.account.Permit()
		p.Status(b.Ctx, sessiontest.Job())
	}
	if !b.account.IsRejected() {
		b.T.Fatal("the account is not rejected")
	}
	b.MarkSign.Calls()
}

// Redis lost the note that the event was delivered: somebody has to deliver it.
func TestRun_RevivesAnEventThatIsNotDelivered(t *testing.T) {
	for state, want := range map[outcome.State]string{outcome.Following: queue.Follow, outcome.Sealed: queue.Follow, outcome.Handed: queue.Deliver} {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.due(state)
				if _, err := b.run(); err == nil {
					t.Error("the task ends")
				}
				if info, err := b.Tasks.Find(want, sessiontest.Job().ID()); info == nil || err != nil {
					t.Errorf("%s has no task: %v", want, err)
				}
			})
		})
	}
}

// A run gives its slot back, whatever it came to.
func TestRun_GivesItsSlotBack(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.MarkSign.Says(sessiontest.Down)
		for range 10 {
			var pause *taskserver.Pause
			if err := b.Run(b.Ctx, nil, b.account, sessiontest.Job()); !errors.As(err, &pause) || !pause.Failed {
				t.Fatalf("the handler returned %v", err)
			}
		}
	})
}

func TestRun_WaitsForRedis(t *testing.T) {
	for name, before := range map[string]func(b *bed){
		"to read the note": func(b *bed) { b.due(outcome.Delivered) },
		"to be put off":    (*bed).reject,
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				before(b)
				b.RedisFails()
				err := b.Run(b.Ctx, nil, b.account, sessiontest.Job())
				if err == nil || err.Error() != taskserver.NoRedis().Error() || len(b.MarkSign.Calls()) != 0 {
					t.Errorf("the handler returned %v", err)
				}
				b.RedisIsBack()
			})
		})
	}
}

// While the account is rejected, the record must not run out.
func TestRun_KeepsTheRecordOfARejectedAccount(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.reject()
		b.Redis.PExpire(b.Ctx, "identwatch:default:a", time.Minute)
		if _, err := b.run(); err == nil || b.Kept() < 24*time.Hour {
			t.Errorf("the record is kept for %v", b.Kept())
		}
	})
}

func TestHandOver_NotesWhyAndMakesTheTask(t *testing.T) {
	for name, c := range map[string]struct {
		before func(b *bed)
		made   bool
	}{
		"delivered":          {func(b *bed) { b.due(outcome.Delivered) }, true},
		"redis fails first":  {func(b *bed) { b.due(outcome.Delivered); b.RedisFails(); time.AfterFunc(time.Minute, b.RedisIsBack) }, true},
		"removed by another": {func(b *bed) { b.due(outcome.Delivered); b.attempt() }, false},
		"not delivered":      {func(b *bed) { b.due(outcome.Handed) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				c.before(b)
				b.HandOver(sessiontest.Job(), WhyRejected)
				info, err := b.Tasks.Find(queue.Remove, sessiontest.Job().ID())
				if (info != nil) != c.made || err != nil {
					t.Fatalf("the task is %+v, error %v", info, err)
				}
				r := b.Record()
				if c.made && (r.Removal != outcome.RemovalHanded || r.LastError != WhyRejected || r.Removals != 0) {
					t.Errorf("noted: %q, %q, %d removals", r.Removal, r.LastError, r.Removals)
				}
				if c.made && (time.Until(info.NextProcessAt) < 4*time.Second || time.Until(info.NextProcessAt) > 7*time.Second) {
					t.Errorf("it is due in %v", time.Until(info.NextProcessAt))
				}
			})
		})
	}
}

func TestEnqueue_MakesTheTaskForTheNextAttempt(t *testing.T) {
	inBed(t, func(b *bed) {
		b.Enqueue(sessiontest.Job(), Outcome{Verdict: Retry, After: time.Hour})
		info, err := b.Tasks.Find(queue.Remove, sessiontest.Job().ID())
		if err != nil || info == nil || time.Until(info.NextProcessAt).Round(time.Minute) != time.Hour {
			t.Errorf("%+v, %v", info, err)
		}
	})
}
