package worker

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

type answerFunc = func(r *http.Request, n int) (int, time.Duration, http.Header)

// failing answers so often with status, and then with 204.
func failing(times, status int) answerFunc {
	return func(_ *http.Request, n int) (int, time.Duration, http.Header) {
		if n <= times {
			return status, 0, nil
		}
		return http.StatusNoContent, 0, nil
	}
}

// failingAsAsked answers with the status that the callback URL names in its
// path, so often, and then with 204.
func failingAsAsked(times int) answerFunc {
	return func(r *http.Request, n int) (int, time.Duration, http.Header) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || n > times {
			return http.StatusNoContent, 0, nil
		}
		return status, 0, nil
	}
}

func TestDeliver_RepeatsByTheScheduleUntilA2xx(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.receiver.answer = failingAsAsked(3)
		statuses := []string{"500", "503", "404", "401", "302", "199", "304"}
		for _, status := range statuses {
			w.session(status, confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://app" + status + ".example/" + status })
		}
		for _, token := range statuses {
			if follow := w.awaitEnd(token, time.Minute); follow.Delivery != outcome.Handed {
				t.Errorf("%s: the follow task ended as %+v", token, follow)
			}
			result := w.awaitTask(queue.Deliver, token, 5*time.Minute)
			w.checkOneStory(token)
			posts := w.receiver.of(token)
			for i, least := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second} {
				pause := posts[i+1].begun.Sub(posts[i].begun)
				if pause < least || pause > least+least/10+4*time.Second {
					t.Errorf("%s: pause %d is %v, the schedule says %v", token, i+1, pause, least)
				}
			}
			if result.Attempts != 4 || result.Delivery != outcome.Delivered {
				t.Errorf("%s: the task's result: %+v", token, result)
			}
			if removed := w.awaitTask(queue.Remove, token, time.Minute); removed.Removal != outcome.Removed || w.seen(token).Removes != 1 {
				t.Errorf("%s: the removal: %+v", token, removed)
			}
		}
		w.checkNothingPersonal()
	})
}

func TestDeliver_HonoursRetryAfterWithinBounds(t *testing.T) {
	for after, want := range map[string]time.Duration{"90": 90 * time.Second, "1": time.Second, "nonsense": time.Second} {
		t.Run(after, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == 1 {
						return 503, 0, http.Header{"Retry-After": {after}}
					}
					return 200, 0, nil
				}
				w.session("a", confirming(0))
				w.awaitTask(queue.Deliver, "a", 5*time.Minute)
				posts := w.receiver.of("a")
				if pause := posts[1].begun.Sub(posts[0].begun); pause < want || pause > want+want/10+4*time.Second {
					t.Errorf("the pause is %v, want %v", pause, want)
				}
			})
		})
	}
}

func TestDeliver_AReceiverThatIsGoneEndsTheDelivery(t *testing.T) {
	for _, when := range []int{1, 2} {
		t.Run(fmt.Sprint("attempt ", when), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == when {
						return http.StatusGone, 0, nil
					}
					return 500, 0, nil
				}
				w.session("a", confirming(0))
				w.await("the removal", time.Minute, func() bool { return w.seen("a").Removes == 1 })
				time.Sleep(time.Minute)
				if posts := w.receiver.of("a"); len(posts) != when {
					t.Errorf("%d posts", len(posts))
				}
				if r := w.record("a"); r.State != outcome.GivenUp || r.Removal != outcome.Removed || r.LastError != "HTTP 410" {
					t.Errorf("the record: %+v", r)
				}
			})
		})
	}
}

func TestDeliver_GivesUpAtTheEndOfTheWindow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.DeliveryWindow = time.Minute })
		w.receiver.answer = failing(1000, 500)
		begun := time.Now()
		w.session("a", confirming(0))
		result := w.awaitTask(queue.Deliver, "a", 5*time.Minute)
		if result.Delivery != outcome.GivenUp || result.LastError != "HTTP 500" {
			t.Errorf("the task's result: %+v", result)
		}
		posts := w.receiver.of("a")
		if last := posts[len(posts)-1].begun.Sub(begun); last < time.Minute || last > time.Minute+5*time.Second {
			t.Errorf("the last attempt was after %v", last)
		}
		if w.seen("a").Removes != 0 {
			t.Error("the session was removed before the delivery was given up")
		}
		if removed := w.awaitTask(queue.Remove, "a", time.Minute); removed.Removal != outcome.Removed {
			t.Errorf("the removal: %+v", removed)
		}
		w.checkNothingPersonal()
	})
}

func TestDeliver_WithoutACallbackURLWaitsForAWorkerThatKnowsOne(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start(func(o *Options) { o.Accounts[0].CallbackURL = "" })
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		p.stop()
		w.start()
		w.awaitTask(queue.Deliver, "a", 3*time.Minute)
		w.checkOneStory("a")
	})
}

func TestDeliver_ToTheSessionsOwnCallback(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		urls := make(chan string, 1)
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			urls <- r.URL.String()
			return 200, 0, nil
		}
		w.session("a", confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://other.example/hook?x=1" })
		w.awaitEnd("a", time.Minute)
		if url := <-urls; url != "https://other.example/hook?x=1" {
			t.Errorf("posted to %s", url)
		}
	})
}

func TestPost_ASlowReceiverSlowsNoPolls(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 200, 14 * time.Second, nil }
		const slow, waiting = 40, 20
		for i := range slow {
			w.session(fmt.Sprint("slow", i), confirming(2*time.Second))
		}
		for i := range waiting {
			w.session(fmt.Sprint("waiting", i), confirming(25*time.Second))
		}
		for i := range waiting {
			token := fmt.Sprint("waiting", i)
			w.await("the end of polling", time.Minute, func() bool { return !w.seen(token).FinalSeenAt.IsZero() })
			if gap := w.seen(token).MaxPollGap; gap > 1200*time.Millisecond {
				t.Errorf("%s was not polled for %v", token, gap)
			}
		}
		for i := range slow {
			token := fmt.Sprint("slow", i)
			w.await("the delivery", 10*time.Minute, func() bool { return w.record(token).State == outcome.Delivered })
			w.checkOneStory(token)
		}
	})
}

func TestPost_OneHostCannotTakeEverySlot(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.DeliveryConcurrency = 8 })
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			if r.URL.Host == "slow.example" {
				return 200, 14 * time.Second, nil
			}
			return 200, 0, nil
		}
		for i := range 50 {
			w.session(fmt.Sprint("slow", i), confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://slow.example/" })
		}
		time.Sleep(3 * time.Second)
		for i := range 20 {
			w.session(fmt.Sprint("fast", i), confirming(0))
		}
		for i := range 20 {
			token := fmt.Sprint("fast", i)
			w.await("the delivery", 2*time.Second, func() bool { return w.record(token).State == outcome.Delivered })
		}
	})
}

func TestRemove_RepeatsWhatFailed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, ServerError: 1})
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		time.Sleep(time.Minute)
		w.sim.SetFaults()
		result := w.awaitTask(queue.Remove, "a", 5*time.Minute)
		if seen := w.seen("a"); result.Removal != outcome.Removed || seen.RemovedAt.IsZero() || seen.Removes < 3 {
			t.Errorf("the result %+v, %d DELETEs", result, seen.Removes)
		}
		w.checkOneStory("a")
	})
}

func TestRemove_AnErrorBodyIsTriedThreeTimesMore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, RemoveError: 1})
		w.session("a", confirming(0))
		result := w.awaitTask(queue.Remove, "a", 10*time.Minute)
		if result.Removal != outcome.RemovedUnknown || result.Delivery != outcome.Delivered || w.seen("a").Removes != 4 {
			t.Errorf("the result %+v, %d DELETEs", result, w.seen("a").Removes)
		}
		time.Sleep(10 * time.Second)
		w.checkOneStory("a")
	})
}

func TestRemove_IsTriedForADay(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, ServerError: 1})
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		p.stop()
		time.Sleep(23*time.Hour + 50*time.Minute)
		p = w.start()
		time.Sleep(10 * time.Second)
		if r := w.record("a"); r.Removal != outcome.RemovalHanded {
			t.Fatalf("within the day: %+v", r)
		}
		p.stop()
		time.Sleep(20 * time.Minute)
		w.start()
		result := w.awaitTask(queue.Remove, "a", 10*time.Minute)
		if result.Removal != outcome.RemovedUnknown {
			t.Errorf("after the day: %+v", result)
		}
	})
}

// TestRemove_GoesOutOnlyOnceTheNoteIsReadBack lets Redis lose the note between
// the 2xx and the DELETE, as a restart with appendfsync everysec can.
func TestRemove_GoesOutOnlyOnceTheNoteIsReadBack(t *testing.T) {
	for _, lost := range []string{"the note", "the record"} {
		t.Run(lost, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				const record, sealed = "identwatch:default:a", "identwatch:default:a:sealed"
				answered := make(chan func(), 1)
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == 1 { // the record as it is while the post is under way
						fields, result := w.rdb.HGetAll(w.ctx, record).Val(), w.rdb.Get(w.ctx, sealed).Val()
						answered <- func() {
							w.rdb.HSet(w.ctx, record, fields)
							w.rdb.Set(w.ctx, sealed, result, time.Hour)
						}
					}
					return 200, 0, nil
				}
				w.session("a", confirming(0))
				restore := <-answered
				w.await("the note", 5*time.Second, func() bool { return w.record("a").State == outcome.Delivered })
				w.rdb.Del(w.ctx, record)
				if lost == "the note" {
					restore()
				}
				w.awaitEnd("a", 2*time.Minute)
				posts := w.receiver.of("a")
				if len(posts) != 2 || posts[0].id != posts[1].id || posts[1].event.Type != webhook.Completed || posts[1].event.Data.Person.Code != posts[0].event.Data.Person.Code {
					t.Errorf("%d posts: %+v", len(posts), posts)
				}
				if seen := w.seen("a"); seen.Removes != 1 || seen.RemovedAt.Before(posts[1].end.Add(outcome.RemovalDelay)) {
					t.Errorf("%d DELETEs, at %v; the last 2xx at %v", seen.Removes, seen.RemovedAt, posts[1].end)
				}
			})
		})
	}
}

func TestOperator_RunsAFinishedTaskAgainWithoutEffect(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.receiver.answer = failing(1, 500)
		w.session("a", confirming(0))
		w.awaitTask(queue.Remove, "a", time.Minute)
		for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
			if err := w.tasks.RunTask(queue, "default:a"); err != nil {
				t.Fatal(err)
			}
			w.await("the end", time.Minute, func() bool {
				info, err := w.tasks.GetTaskInfo(queue, "default:a")
				return err == nil && info.State == asynq.TaskStateCompleted
			})
		}
		time.Sleep(30 * time.Second)
		seen := w.seen("a")
		if posts := w.receiver.of("a"); len(posts) != 2 || seen.Removes != 1 || seen.FinalPolls != 1 {
			t.Errorf("%d posts, %d DELETEs, %d final polls", len(posts), seen.Removes, seen.FinalPolls)
		}
	})
}
