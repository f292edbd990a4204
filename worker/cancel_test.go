package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// named is the name of a session of the default account.
func named(token string) session.Name {
	name, err := session.NewName("", token)
	if err != nil {
		panic(err)
	}
	return name
}

// admin is one with connections of its own.
func (w *world) admin(hooks ...redis.Hook) *admin.Sessions {
	rdb := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", Dialer: func(context.Context, string, string) (net.Conn, error) { return w.mini.Dial() },
	})
	for _, hook := range hooks {
		rdb.AddHook(hook)
	}
	w.stops = append(w.stops, func() { rdb.Close() })
	return admin.New(rdb, session.Shards{})
}

// cancel cancels a session, which must succeed.
func (w *world) cancel(token string) admin.Status {
	w.t.Helper()
	status, err := w.admin().Cancel(w.ctx, named(token))
	if err != nil || status.State != admin.Cancelled || status.Token != token {
		w.t.Fatalf("cancelled: %+v, %v", status, err)
	}
	return status
}

// checkCancelled checks what holds for every session that was cancelled, once its
// tasks have ended.
func (w *world) checkCancelled(token string) {
	w.t.Helper()
	w.awaitEnd(token, time.Minute)
	removal := w.awaitTask(queue.Remove, token, time.Minute)
	if removal.Delivery != outcome.Cancelled || removal.Removal != outcome.Removed {
		w.t.Errorf("%s: the removal's result: %+v", token, removal)
	}
	record, seen := w.record(token), w.seen(token)
	if seen.Removes != 1 || seen.RemovedAt.Before(record.Ended.Add(outcome.RemovalDelay)) {
		w.t.Errorf("%s: %d DELETEs, the last %v after the note", token, seen.Removes, seen.RemovedAt.Sub(record.Ended))
	}
	if posts := w.receiver.of(token); len(posts) != 0 || record.Attempts != 0 || record.State != outcome.Cancelled {
		w.t.Errorf("%s: %d posts, the record: %+v", token, len(posts), record)
	}
	w.checkNothingPersonal()
}

func TestCancel_PostsNothingAndRemovesTheSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(time.Hour))
		time.Sleep(5 * time.Second)
		status := w.cancel("a")
		if status.Removal != "pending" || status.EndedAt.IsZero() || status.Outcome != "" {
			t.Errorf("the status: %+v", status)
		}
		if took := w.await("the end of the task", time.Minute, func() bool { return w.completed(queue.Follow, "a") }); took > 2*time.Second {
			t.Errorf("the task ended after %v", took)
		}
		time.Sleep(4 * time.Second) // a third of a lease
		polls, removed := w.seen("a").Polls, w.seen("a").RemovedAt
		if late := removed.Sub(status.EndedAt); late > outcome.RemovalDelay+3*time.Second {
			t.Errorf("removed %v after it was cancelled", late)
		}
		time.Sleep(10 * time.Second)
		if more := w.seen("a").Polls - polls; more != 0 {
			t.Errorf("%d polls later than a third of a lease", more)
		}
		w.checkCancelled("a")
		if strings.Contains(w.logs.String(), "deleted or archived") {
			t.Error("the log blames an operator")
		}
		if status, err := w.admin().Status(w.ctx, named("a")); err != nil || status.State != admin.Cancelled || status.Removal != "removed" {
			t.Errorf("afterwards: %+v, %v", status, err)
		}
	})
}

// Another worker than the holder runs the task.
func TestCancel_StopsAHolderElsewhere(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(time.Hour))
		w.await("the first poll", 5*time.Second, func() bool { return w.seen("a").Polls > 0 })
		w.start()
		w.start()
		w.cancel("a")
		time.Sleep(4 * time.Second) // a third of a lease
		polls := w.seen("a").Polls
		time.Sleep(6 * time.Second)
		if more := w.seen("a").Polls - polls; more != 0 {
			t.Errorf("%d polls later than a third of a lease", more)
		}
		w.checkCancelled("a")
	})
}

func TestCancel_OfASessionThatNoWorkerTook(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("a", confirming(0))
		w.cancel("a")
		time.Sleep(10 * time.Second)
		w.start()
		w.checkCancelled("a")
		if polls := w.seen("a").Polls; polls != 0 {
			t.Errorf("%d polls", polls)
		}
		if err := w.client.Enqueue(w.ctx, tasks.Session{Token: "a", Method: tasks.SmartID}); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("enqueued again: %v", err)
		}
	})
}

func TestCancel_OfAnUnknownSessionMakesNone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("archived", confirming(0))
		if err := w.tasks.ArchiveTask(queue.Follow, "default:archived"); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"unknown", "archived"} {
			if status, err := w.admin().Cancel(w.ctx, named(token)); !errors.Is(err, admin.ErrNoSession) || status != (admin.Status{}) {
				t.Errorf("%s: %+v, %v", token, status, err)
			}
			if r := w.record(token); r.State != outcome.None {
				t.Errorf("%s has a record: %+v", token, r)
			}
		}
	})
}

func TestCancel_AfterAnotherOutcomeSaysWhich(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		for range 2 {
			status, err := w.admin().Cancel(w.ctx, named("a"))
			if !errors.Is(err, admin.ErrOutcomeFirst) || status.State != admin.Removed || status.Outcome != "identification.completed" {
				t.Errorf("%+v, %v", status, err)
			}
		}
		time.Sleep(10 * time.Second)
		w.checkOneStory("a")
	})
}

// Sessions are cancelled while they become final: each has one outcome.
func TestCancel_AndAnOutcomeAtOnceAreOneStory(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		const n = 40
		for i := range n {
			w.session(fmt.Sprint("a", i), confirming(3*time.Second))
		}
		time.Sleep(2700 * time.Millisecond)
		sessions := w.admin()
		cancelled := 0
		for i := range n {
			token := fmt.Sprint("a", i)
			_, err := sessions.Cancel(w.ctx, named(token))
			switch {
			case err == nil:
				cancelled++
				defer w.checkCancelled(token)
			case errors.Is(err, admin.ErrOutcomeFirst):
				defer func() {
					w.awaitEnd(token, time.Minute)
					w.checkOneStory(token)
				}()
			default:
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if cancelled == 0 || cancelled == n {
			t.Errorf("%d of %d were cancelled, so the test shows little", cancelled, n)
		}
	})
}

// A poll is under way when the session is cancelled, and brings the outcome.
func TestCancel_DropsWhatAPollUnderWayBrings(t *testing.T) {
	inWorld(t, func(w *world) {
		w.markSign = &slowStatus{inner: w.sim, by: 6 * time.Second}
		w.start()
		w.session("a", confirming(0))
		time.Sleep(3 * time.Second)
		w.cancel("a")
		w.checkCancelled("a")
		if seen := w.seen("a"); seen.FinalPolls == 0 {
			t.Fatal("no poll brought the outcome")
		}
		time.Sleep(10 * time.Second)
		w.checkCancelled("a")
	})
}

// Repeating it changes nothing, and makes tasks again that are gone.
func TestCancel_RepeatedMakesSureOfTheRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("a", confirming(time.Hour))
		first := w.cancel("a")
		if err := w.tasks.DeleteTask(queue.Remove, "default:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if again := w.cancel("a"); again != first {
			t.Errorf("the second time %+v, at first %+v", again, first)
		}
		w.start()
		w.checkCancelled("a")
		if again := w.cancel("a"); again.Removal != "removed" || again.EndedAt != first.EndedAt {
			t.Errorf("at the end %+v, at first %+v", again, first)
		}
		time.Sleep(10 * time.Second)
		w.checkCancelled("a")
	})
}

// An operator deleted the task, and what the removal needs with it.
func TestCancel_OfASessionWhoseTaskIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(6*time.Second))
		w.await("the first poll", 5*time.Second, func() bool { return w.seen("a").Polls > 0 })
		if err := w.tasks.DeleteTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		if status, err := w.admin().Status(w.ctx, named("a")); err != nil || status.State != admin.Following {
			t.Errorf("before: %+v, %v", status, err)
		}
		if status := w.cancel("a"); status.Removal != "unknown" {
			t.Errorf("%+v", status)
		}
		time.Sleep(10 * time.Second)
		if status := w.cancel("a"); status.Removal != "unknown" {
			t.Errorf("the second time: %+v", status)
		}
		if len(w.receiver.of("a")) != 0 || w.seen("a").Removes != 0 {
			t.Errorf("%d posts, %d DELETEs", len(w.receiver.of("a")), w.seen("a").Removes)
		}
	})
}

// A session was cancelled, and both tasks were deleted before they were run.
func TestCancel_OfACancelledSessionWhoseTasksAreGone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("a", confirming(time.Hour))
		w.cancel("a")
		for _, queue := range []string{queue.Follow, queue.Remove} {
			if err := w.tasks.DeleteTask(queue, "default:a"); err != nil {
				t.Fatal(err)
			}
		}
		if status := w.cancel("a"); status.Removal != "unknown" || status.RemovedAt.IsZero() {
			t.Errorf("%+v", status)
		}
	})
}

// Redis is down, and the call is repeated when it is back.
func TestCancel_SaysWhereRedisFails(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("a", confirming(time.Hour))
		w.mini.SetError("LOADING Redis is down in this test")
		if status, err := w.admin().Cancel(w.ctx, named("a")); err == nil || status != (admin.Status{}) {
			t.Errorf("%+v, %v", status, err)
		}
		w.mini.SetError("")
		w.cancel("a")
		w.start()
		w.checkCancelled("a")
	})
}

// A receiver that fails holds the event up, which is no reason to cancel it.
func TestCancel_OfASessionThatIsBeingDelivered(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 503, 0, nil }
		w.start()
		w.session("a", confirming(0))
		w.await("the hand-over", 10*time.Second, func() bool { return w.record("a").State == outcome.Handed })
		status, err := w.admin().Cancel(w.ctx, named("a"))
		if !errors.Is(err, admin.ErrOutcomeFirst) || status.State != admin.Delivering || status.NextAttempt.IsZero() || status.LastError != "HTTP 503" {
			t.Errorf("%+v, %v", status, err)
		}
		if w.seen("a").Outcome != marksim.Confirms || w.seen("a").Removes != 0 {
			t.Errorf("at MarkSign: %+v", w.seen("a"))
		}
	})
}

// completed reports whether a task is completed.
func (w *world) completed(queue, token string) bool {
	info, err := w.tasks.GetTaskInfo(queue, "default:"+token)
	return err == nil && info.State == asynq.TaskStateCompleted
}
