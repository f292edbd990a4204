package worker

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// The tests of this file are about rolling deploys: processes with different
// settings, or of different releases, work on the same Redis.

// oldTask enqueues a task as an older release did: with asynq's timeout by the
// settings of the process that enqueued it.
func (w *world) oldTask(made func(session.Job) (*asynq.Task, error), name, token string, timeout, after time.Duration) {
	w.t.Helper()
	follow, err := w.tasks.GetTaskInfo(queue.Follow, "default:"+token)
	if err != nil {
		w.t.Fatal(err)
	}
	job, err := queue.Decode(follow.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	task, err := made(job)
	if err != nil {
		w.t.Fatal(err)
	}
	old := asynq.NewTask(task.Type(), task.Payload())
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(old, asynq.Queue(name), asynq.TaskID("default:"+token),
		asynq.MaxRetry(1<<31-1), asynq.Timeout(timeout), asynq.Retention(job.Retention), asynq.ProcessIn(after)); err != nil {
		w.t.Fatal(err)
	}
}

// A delivery task of an older release has a timeout that is shorter than a post
// may last now.
func TestRolling_AnOldTasksTimeoutBindsNoPost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			switch n {
			case 1:
				w.oldTask(queue.NewDeliverTask, queue.Deliver, "a", 6*time.Second, 5*time.Second)
				return 500, 0, nil
			case 2, 3:
				return 503, 9 * time.Second, nil
			}
			return 204, 9 * time.Second, nil
		}
		first := w.start()
		w.session("a", confirming(0))
		w.await("the first post", 10*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
		first.cut() // another worker does not have the event in its list: the task's run posts it
		w.start()
		result := w.awaitTask(queue.Deliver, "a", 6*time.Minute)
		w.checkOneStory("a")
		posts := w.receiver.of("a")
		if len(posts) != 4 || result.Attempts != 4 || result.Delivery != outcome.Delivered {
			t.Fatalf("%d posts, the result: %+v", len(posts), result)
		}
		for i, least := range []time.Duration{time.Second, 5 * time.Second, 30 * time.Second} {
			if pause := posts[i+1].begun.Sub(posts[i].end); pause < least || pause > least+least/10+5*time.Second {
				t.Errorf("pause %d is %v, the schedule says %v", i+1, pause, least)
			}
		}
		if n := strings.Count(w.logs.String(), "posting the event failed"); n != 3 {
			t.Errorf("%d failed posts are logged, want 3", n)
		}
	})
}

// So has the task of a removal.
func TestRolling_AnOldTasksTimeoutBindsNoRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		removals := &slowRemovals{inner: w.sim, failing: 1, by: 9 * time.Second}
		w.markSign = removals
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) {
			w.oldTask(queue.NewRemoveTask, queue.Remove, "a", 6*time.Second, 20*time.Second)
			return 204, 0, nil
		}
		w.start()
		w.session("a", confirming(0))
		if result := w.awaitTask(queue.Remove, "a", 2*time.Minute); result.Removal != outcome.Removed {
			t.Errorf("the result: %+v", result)
		}
		if n := removals.begun.Load(); n > 3 {
			t.Errorf("%d DELETEs", n)
		}
	})
}

// slowRemovals fails the first DELETEs, and answers each of the others late.
type slowRemovals struct {
	inner   http.RoundTripper
	failing int64
	by      time.Duration
	begun   atomic.Int64
}

func (s *slowRemovals) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodDelete {
		return s.inner.RoundTrip(r)
	}
	if s.begun.Add(1) <= s.failing {
		return nil, errCut
	}
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(s.by):
	}
	return s.inner.RoundTrip(r)
}

// A stop waits for the post of a run that asynq waits for no more.
func TestRolling_AStopWaitsForAPostThatOutlivesAnOldTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				w.oldTask(queue.NewDeliverTask, queue.Deliver, "a", 2*time.Second, 5*time.Second)
				return 500, 0, nil
			}
			return 204, 12 * time.Second, nil
		}
		first := w.start()
		w.session("a", confirming(0))
		w.await("the second claim", 20*time.Second, func() bool { return w.record("a").Attempts == 2 })
		time.Sleep(4 * time.Second) // until asynq has given the run up
		first.stop()
		if r := w.record("a"); r.State != outcome.Delivered {
			t.Errorf("after the stop: %+v", r)
		}
		w.checkOneStory("a")
	})
}

// The receiver answers after nine seconds, and DELIVERY_TIMEOUT is changed.
func TestRolling_DeliveryTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		first, second time.Duration
		want          outcome.State
	}{
		"raised":  {3 * time.Second, 20 * time.Second, outcome.Delivered},
		"lowered": {20 * time.Second, 3 * time.Second, outcome.GivenUp},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == 1 {
						return 500, 0, nil
					}
					return 204, 9 * time.Second, nil
				}
				with := func(d time.Duration) func(*Options) {
					return func(o *Options) { o.DeliveryTimeout, o.DeliveryWindow = d, 5*time.Minute }
				}
				first := w.start(with(c.first))
				w.session("a", confirming(0))
				w.await("the first post", 10*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
				first.stop()
				w.start(with(c.second))
				result := w.awaitTask(queue.Deliver, "a", 10*time.Minute)
				posts := w.receiver.of("a")
				if result.Delivery != c.want || result.Attempts != len(posts) || len(posts) > 6 {
					t.Errorf("%d posts, the result: %+v", len(posts), result)
				}
				for i := 1; i < len(posts); i++ {
					if posts[i].begun.Before(posts[i-1].end) {
						t.Errorf("posts %d and %d overlap", i, i+1)
					}
				}
				if logged := strings.Count(w.logs.String(), "posting the event failed") + strings.Count(w.logs.String(), "delivery given up"); c.want == outcome.GivenUp && logged != len(posts) {
					t.Errorf("%d failures are logged of %d", logged, len(posts))
				}
			})
		})
	}
}

// A worker dies in its post: its claim holds others for as long as its own post
// could last, whatever DELIVERY_TIMEOUT they have.
func TestRolling_AClaimHoldsForAsLongAsItsOwnPost(t *testing.T) {
	for name, c := range map[string]struct{ dead, living time.Duration }{
		"longer": {time.Minute, 3 * time.Second}, "shorter": {3 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == 1 {
						return 204, time.Hour, nil
					}
					return 204, 0, nil
				}
				with := func(d time.Duration) func(*Options) {
					return func(o *Options) { o.DeliveryTimeout, o.ShutdownTimeout = d, 2*time.Minute }
				}
				dead := w.start(with(c.dead))
				w.session("a", confirming(0))
				w.await("the claim", 5*time.Second, func() bool { return w.record("a").Attempts == 1 })
				dead.cut()
				w.start(with(c.living))
				took := w.await("the delivery", 5*time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
				least := c.dead + claimsMargin - time.Second
				if most := max(c.dead+claimsMargin, 10*time.Second) + 4*time.Second; took < least || took > most {
					t.Errorf("delivered after %v, want %v to %v", took, least, most)
				}
			})
		})
	}
}

// A worker dies, and one with another LEASE takes its session over.
func TestRolling_ALeaseIsThatOfWhoHoldsIt(t *testing.T) {
	for name, c := range map[string]struct{ dead, living time.Duration }{
		"longer": {time.Minute, 3 * time.Second}, "shorter": {3 * time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				dead := w.start(func(o *Options) { o.Lease = c.dead })
				w.session("a", confirming(5*time.Minute))
				time.Sleep(30 * time.Second)
				dead.cut()
				polls := w.seen("a").Polls
				w.start(func(o *Options) { o.Lease = c.living })
				took := w.await("the next poll", 2*time.Minute, func() bool { return w.seen("a").Polls > polls })
				if took > c.dead+2*time.Second {
					t.Errorf("taken over after %v, with a lease of %v", took, c.dead)
				}
			})
		})
	}
}

// Two workers with different LEASE work side by side: neither takes the other's
// sessions while it lives.
func TestRolling_LeasesOfTheLivingAreRespected(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.Lease = 5 * time.Minute })
		w.session("a", confirming(4*time.Minute))
		time.Sleep(time.Second)
		w.start(func(o *Options) { o.Lease = 3 * time.Second })
		w.session("b", confirming(4*time.Minute))
		holders := func() [2]string { return [2]string{w.record("a").Holder, w.record("b").Holder} }
		time.Sleep(5 * time.Second)
		before := holders()
		time.Sleep(3*time.Minute + 30*time.Second)
		if after := holders(); after != before {
			t.Errorf("the holders were %v and are %v", before, after)
		}
		w.awaitEnd("a", 5*time.Minute)
		w.awaitEnd("b", 5*time.Minute)
		w.checkOneStory("a")
		w.checkOneStory("b")
	})
}
