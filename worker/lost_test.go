package worker

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

const (
	recordKey = "identwatch:default:a"
	sealedKey = "identwatch:default:a:sealed"
)

// awaitArchived waits until a task is archived because its record is lost.
func (w *world) awaitArchived(queue string, within time.Duration) {
	w.t.Helper()
	var info *asynq.TaskInfo
	w.await("the end of "+queue, within, func() (archived bool) {
		var err error
		info, err = w.tasks.GetTaskInfo(queue, "default:a")
		return err == nil && info.State == asynq.TaskStateArchived
	})
	var result settle.Result
	if err := json.Unmarshal(info.Result, &result); err != nil || !result.RecordLost {
		w.t.Errorf("the result %s: %v", info.Result, err)
	}
	if !strings.Contains(info.LastErr, "record in Redis is lost") {
		w.t.Errorf("the operator reads %q", info.LastErr)
	}
}

// leftToDeliver has a worker hand the delivery of "a" over, and stops it.
func (w *world) leftToDeliver(change ...func(*Options)) {
	w.t.Helper()
	p := w.start(change...)
	w.receiver.answer = failing(1, 500)
	w.session("a", confirming(0))
	w.await("the hand-over", 10*time.Second, func() bool { return w.record("a").State == outcome.Handed })
	w.awaitEnd("a", 10*time.Second)
	p.stop()
}

// Redis loses record and result of an event that is to be delivered: nobody
// follows the session again, whose person is unknown to MarkSign by now.
func TestLost_ADeliveryWithoutRecordIsNoNewSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leftToDeliver()
		w.rdb.Del(w.ctx, recordKey, sealedKey)
		registry := prometheus.NewRegistry()
		w.start(func(o *Options) { o.Metrics = registry })
		w.awaitArchived(queue.Deliver, time.Minute)
		if n := series(t, registry)[`identwatch_records_lost_total{account="default"}`]; n != 1 {
			t.Errorf("%v lost records are counted", n)
		}
		for range 2 { // an operator runs the follow task too
			if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if result := w.awaitEnd("a", time.Minute); !result.RecordLost {
				t.Errorf("the follow task ended as %+v", result)
			}
		}
		time.Sleep(time.Minute)
		if seen := w.seen("a"); len(w.receiver.of("a")) != 1 || seen.FinalPolls != 1 || seen.Removes != 0 {
			t.Errorf("%d posts, %d final polls, %d DELETEs", len(w.receiver.of("a")), seen.FinalPolls, seen.Removes)
		}
		if r := w.record("a"); r.State != outcome.None {
			t.Errorf("a record: %+v", r)
		}
		if n := strings.Count(w.logs.String(), "record in Redis is lost"); n != 3 {
			t.Errorf("%d lines say so", n)
		}
	})
}

// Redis loses the record, and kept the sealed result: the same event goes out.
func TestLost_ARecordIsMadeAgainFromItsSealedResult(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leftToDeliver()
		w.rdb.Del(w.ctx, recordKey)
		w.start()
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
		w.await("the removal", time.Minute, func() bool { return w.seen("a").Removes == 1 })
	})
}

// The follow task is there too: it waits for its turn beside the delivery.
func TestLost_AFollowTaskBesideADeliveryBeginsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leftToDeliver()
		w.rdb.Del(w.ctx, recordKey, sealedKey)
		if err := w.tasks.PauseQueue(queue.Deliver); err != nil {
			t.Fatal(err)
		}
		if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		w.start()
		time.Sleep(5 * time.Second)
		if result := w.awaitEnd("a", time.Minute); !result.RecordLost || w.seen("a").FinalPolls != 1 {
			t.Errorf("the follow task ended as %+v, with %d final polls", result, w.seen("a").FinalPolls)
		}
	})
}

// asynq keeps a finished task until its janitor comes, and so somebody can run it when
// its record has expired. MarkSign does not know the person any more by then.
func TestLost_AFinishedTaskThatIsRunAgainBeginsNothing(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"as it was": func(*Options) {}, "and not signed": func(o *Options) { o.Accounts[0].TaskKeys = []tasks.PayloadKey{tasks.NewPayloadKey()} },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.start()
				w.session("a", confirming(0))
				w.awaitEnd("a", time.Minute)
				p.stop()
				w.age(26 * time.Hour)
				if r := w.record("a"); r.State != outcome.None {
					t.Fatalf("the record has not expired: %+v", r)
				}
				polls := w.seen("a").Polls
				for runs := 1; runs <= 2; runs++ {
					if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
						t.Fatal(err)
					}
					if status, err := w.admin().Cancel(w.ctx, named("a")); !errors.Is(err, admin.ErrNoSession) {
						t.Errorf("it was cancelled: %+v, %v", status, err)
					}
					p = w.start(change)
					time.Sleep(3 * time.Second)
					if result := w.awaitEnd("a", time.Minute); !result.RecordLost {
						t.Errorf("it ended as %+v", result)
					}
					if n := strings.Count(w.logs.String(), "record in Redis is lost"); n != runs {
						t.Errorf("%d lines say so after %d runs", n, runs)
					}
					p.stop()
				}
				if seen, posts := w.seen("a"), w.receiver.of("a"); len(posts) != 1 || seen.Polls != polls || seen.Removes != 1 {
					t.Errorf("%d posts, %d polls of %d, %d DELETEs", len(posts), seen.Polls, polls, seen.Removes)
				}
				if r := w.record("a"); r.State != outcome.None {
					t.Errorf("a record: %+v", r)
				}
			})
		})
	}
}

func TestLost_ARemovalWithoutRecordIsNotMade(t *testing.T) {
	inWorld(t, func(w *world) {
		removals := &slowRemovals{inner: w.sim, failing: 1}
		w.markSign = removals
		p := w.start()
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		p.stop()
		w.rdb.Del(w.ctx, recordKey)
		w.start()
		w.awaitArchived(queue.Remove, time.Minute)
		if len(w.receiver.of("a")) != 1 || removals.begun.Load() != 1 {
			t.Errorf("%d posts, %d DELETEs", len(w.receiver.of("a")), removals.begun.Load())
		}
	})
}

// A new session, whose task has no record yet, is followed as ever, and so is one
// whose record Redis lost together with all later tasks.
func TestLost_AFollowTaskAloneIsANewSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(20*time.Second))
		time.Sleep(10 * time.Second)
		w.rdb.Del(w.ctx, recordKey)
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}

// DELIVERY_WINDOW is changed while the receiver is down for longer than the
// shorter one and a day.
func TestRolling_DeliveryWindow(t *testing.T) {
	for name, windows := range map[string][]time.Duration{
		"raised": {time.Hour, 72 * time.Hour, 72 * time.Hour}, "lowered in between": {72 * time.Hour, time.Hour, 72 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				with := func(window time.Duration) func(*Options) {
					return func(o *Options) { o.DeliveryWindow = window }
				}
				w.leftToDeliver(with(windows[0]))
				w.receiver.answer = failing(1000, 500)
				second := w.start(with(windows[1]))
				w.await("the second attempt", time.Minute, func() bool { return len(w.receiver.of("a")) == 2 })
				time.Sleep(time.Second)
				second.stop()
				w.age(30 * time.Hour)
				w.receiver.answer = nil
				w.start(with(windows[2]))
				w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
				if last := w.checkOneStory("a"); last.event.Type != webhook.Completed {
					t.Errorf("posted %v", last.event.Type)
				}
			})
		})
	}
}

// REDELIVERY_WINDOW is that of who gives up; nobody takes an event from another.
func TestRolling_RedeliveryWindow(t *testing.T) {
	for name, windows := range map[string][2]time.Duration{
		"raised": {time.Hour, 90 * 24 * time.Hour}, "lowered": {7 * 24 * time.Hour, -1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				with := func(window time.Duration) func(*Options) {
					return func(o *Options) { o.RedeliveryWindow = window }
				}
				gone := func(*http.Request, int) (int, time.Duration, http.Header) { return http.StatusGone, 0, nil }
				w.receiver.answer = gone
				first := w.start(with(windows[0]))
				w.session("a", confirming(0))
				w.awaitEnd("a", time.Minute)
				first.stop()
				second := w.start(with(windows[1]))
				w.session("b", confirming(0)) // given up by the second
				w.awaitEnd("b", time.Minute)
				second.stop()
				w.age(windows[0] / 2)
				w.receiver.answer = nil
				if list, err := w.admin().GivenUp(w.ctx, time.Time{}); err != nil || len(list) == 0 || list[0].Job.Token != "a" {
					t.Errorf("listed: %+v, %v", list, err)
				}
				if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
					t.Fatal(err)
				}
				w.start(with(windows[1]))
				w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
			})
		})
	}
}

// SESSION_TIMEOUT is that of who follows the session.
func TestRolling_SessionTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		first, second time.Duration
		want          webhook.Type
		after         time.Duration
	}{
		"raised":  {time.Minute, 10 * time.Minute, webhook.Completed, 5 * time.Minute},
		"lowered": {10 * time.Minute, time.Minute, webhook.Expired, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				with := func(d time.Duration) func(*Options) {
					return func(o *Options) { o.SessionTimeout = d }
				}
				begun := time.Now()
				first := w.start(with(c.first))
				w.session("a", confirming(5*time.Minute))
				time.Sleep(30 * time.Second)
				first.stop()
				w.start(with(c.second))
				w.await("the event", 11*time.Minute, func() bool { return len(w.receiver.of("a")) > 0 })
				if took := time.Since(begun); took < c.after || took > c.after+10*time.Second || w.receiver.of("a")[0].event.Type != c.want {
					t.Errorf("%v after %v", w.receiver.of("a")[0].event.Type, took)
				}
			})
		})
	}
}

// As docs/reliability.md tells an operator to.
func TestLost_AnOperatorHasTheSessionFollowedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leftToDeliver()
		w.rdb.Del(w.ctx, recordKey, sealedKey)
		w.start()
		w.awaitArchived(queue.Deliver, time.Minute)
		for _, queue := range []string{queue.Deliver, queue.Follow} {
			if err := w.tasks.DeleteTask(queue, "default:a"); err != nil {
				t.Fatal(err)
			}
		}
		w.enqueue("a")
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
	})
}
