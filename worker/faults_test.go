package worker

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// many starts sessions that confirm spread over the time given.
func (w *world) many(n int, from, to time.Duration) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = fmt.Sprint("s", i)
		w.session(tokens[i], confirming(from+time.Duration(i)*(to-from)/time.Duration(n)))
	}
	return tokens
}

func (w *world) awaitAll(tokens []string, within time.Duration) {
	w.t.Helper()
	end := time.Now().Add(within)
	for _, token := range tokens {
		w.await("the end of "+token, time.Until(end), func() bool { return !w.seen(token).RemovedAt.IsZero() })
	}
}

func TestWorker_ThatDiesIsReplacedWithinALease(t *testing.T) {
	inWorld(t, func(w *world) {
		const lease = 10 * time.Second
		first := w.start()
		tokens := w.many(50, 5*time.Second, 60*time.Second)
		time.Sleep(20 * time.Second)
		w.start()
		died := time.Now()
		first.cut()
		w.awaitAll(tokens, 3*time.Minute)
		for _, token := range tokens {
			w.checkOneStory(token)
			seen := w.seen(token)
			if seen.FinalSeenAt.After(died) && seen.MaxPollGap > lease+2*time.Second {
				t.Errorf("%s was not polled for %v", token, seen.MaxPollGap)
			}
		}
	})
}

func TestWorker_ThatDiesWhileItPostsIsReplacedAfterItsClaim(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.start()
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return 200, 5 * time.Second, nil
			}
			return 200, 0, nil
		}
		w.session("a", confirming(0))
		w.await("the seal", 5*time.Second, func() bool { return w.record("a").State == outcome.Sealed })
		claimed := time.Now()
		first.cut() // the 2xx is lost
		w.start()
		w.awaitEnd("a", time.Minute)
		posts := w.receiver.of("a")
		if len(posts) != 2 || posts[0].id != posts[1].id || posts[0].body != posts[1].body || posts[1].begun.Before(posts[0].end) {
			t.Fatalf("posts: %+v", posts)
		}
		if took := posts[1].begun.Sub(claimed); took > 20*time.Second {
			t.Errorf("posted again after %v", took)
		}
	})
}

func TestWorker_ThatStopsHandsItsSessionsOver(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.start()
		tokens := w.many(50, 30*time.Second, 60*time.Second)
		time.Sleep(10 * time.Second)
		w.start()
		begun := time.Now()
		first.stop()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		w.awaitAll(tokens, 3*time.Minute)
		for _, token := range tokens {
			w.checkOneStory(token)
			if gap := w.seen(token).MaxPollGap; gap > 4*time.Second {
				t.Errorf("%s was not polled for %v", token, gap)
			}
		}
	})
}

func TestWorker_ThatStopsFinishesItsPosts(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.start()
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 200, 10 * time.Second, nil }
		w.session("a", confirming(0))
		w.await("the seal", 5*time.Second, func() bool { return w.record("a").State == outcome.Sealed })
		first.stop()
		if r := w.record("a"); r.State != outcome.Delivered {
			t.Fatalf("after the stop: %+v", r)
		}
		w.start()
		result := w.awaitEnd("a", 10*time.Second)
		if w.checkOneStory("a"); result.Removal != outcome.Removed {
			t.Errorf("the result: %+v", result)
		}
	})
}

// TestPoll_ALateNotFoundTellsNoSecondStory holds a poll of one worker back until
// another has told the story and removed the session.
func TestPoll_ALateNotFoundTellsNoSecondStory(t *testing.T) {
	inWorld(t, func(w *world) {
		release := make(chan struct{})
		slow := &holding{inner: w.sim, release: release}
		w.markSign = slow
		first := w.start(func(o *Options) { o.Accounts[0].MarkSign.Timeout = time.Minute })
		w.session("a", confirming(2*time.Second))
		time.Sleep(time.Second)
		slow.hold("a") // its next poll hangs, and it renews on
		time.Sleep(2 * time.Second)
		w.markSign = w.sim
		w.start()
		if err := w.tasks.RunTask(queue.Follow, "default:a"); err != nil {
			t.Fatal(err)
		}
		// Where the first worker got its own task again, it is made to leave it.
		w.await("the story by another", time.Minute, func() bool {
			if w.record("a").Removal == outcome.Removed {
				return true
			}
			_ = w.tasks.RunTask(queue.Follow, "default:a")
			return false
		})
		close(release)
		time.Sleep(30 * time.Second)
		w.checkOneStory("a")
		if posts := w.receiver.of("a"); len(posts) != 1 {
			t.Errorf("%d posts", len(posts))
		}
		if slow.notFound == 0 {
			t.Error("the late poll was not answered 40402")
		}
		_ = first
	})
}

// holding holds the polls of one session back.
type holding struct {
	inner    http.RoundTripper
	release  chan struct{}
	gate     gate
	token    string
	notFound int
}

func (h *holding) hold(token string) { h.gate.mu.Lock(); h.token = token; h.gate.mu.Unlock() }

func (h *holding) RoundTrip(r *http.Request) (*http.Response, error) {
	h.gate.mu.Lock()
	held := h.token != "" && strings.Contains(r.URL.Path, "/status/"+h.token)
	h.gate.mu.Unlock()
	if held {
		<-h.release
		h.gate.mu.Lock()
		h.notFound++
		h.gate.mu.Unlock()
	}
	return h.inner.RoundTrip(r)
}

func TestOperator_RunsAFollowTaskEarlyWithoutASecondEvent(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				for range workers {
					w.start()
				}
				tokens := w.many(20, 20*time.Second, 40*time.Second)
				time.Sleep(5 * time.Second)
				for range 5 {
					for _, token := range tokens {
						_ = w.tasks.RunTask(queue.Follow, "default:"+token)
					}
					time.Sleep(3 * time.Second)
				}
				w.awaitAll(tokens, 2*time.Minute)
				for _, token := range tokens {
					w.checkOneStory(token)
					if seen := w.seen(token); len(w.receiver.of(token)) != 1 || seen.Removes != 1 {
						t.Errorf("%s: %d posts, %d DELETEs", token, len(w.receiver.of(token)), seen.Removes)
					}
				}
			})
		})
	}
}

func TestOperator_DeletesOrArchivesATaskAndStopsTheFollowing(t *testing.T) {
	for name, act := range map[string]func(w *world) error{
		"delete":  func(w *world) error { return w.tasks.DeleteTask(queue.Follow, "default:a") },
		"archive": func(w *world) error { return w.tasks.ArchiveTask(queue.Follow, "default:a") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				w.session("a", confirming(30*time.Second))
				w.session("b", confirming(30*time.Second))
				time.Sleep(5 * time.Second)
				if err := act(w); err != nil {
					t.Fatal(err)
				}
				time.Sleep(4 * time.Second)
				polls := w.seen("a").Polls
				w.awaitEnd("b", 2*time.Minute)
				if seen := w.seen("a"); seen.Polls != polls || seen.Removes != 0 || len(w.receiver.of("a")) != 0 {
					t.Errorf("%d more polls, %d DELETEs, %d posts", seen.Polls-polls, seen.Removes, len(w.receiver.of("a")))
				}
				if r := w.record("a"); r.State != outcome.None {
					t.Errorf("the record: %+v", r)
				}
				s := tasks.Session{Token: "a", Method: tasks.SmartID}
				if err := w.client.Enqueue(w.ctx, s); err != nil {
					t.Fatalf("enqueued again: %v", err)
				}
				w.awaitEnd("a", time.Minute)
				w.checkOneStory("a")
			})
		})
	}
}

func TestOperator_PausesTheFollowQueueAndWhatIsFollowedGoesOn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(20*time.Second))
		time.Sleep(5 * time.Second)
		if err := w.tasks.PauseQueue(queue.Follow); err != nil {
			t.Fatal(err)
		}
		w.session("b", confirming(0))
		w.await("the removal of a", time.Minute, func() bool { return w.seen("a").Removes == 1 })
		w.checkOneStory("a")
		if w.seen("b").Polls != 0 {
			t.Error("a new session is followed although the queue is paused")
		}
		if err := w.tasks.UnpauseQueue(queue.Follow); err != nil {
			t.Fatal(err)
		}
		w.awaitEnd("a", 10*time.Second)
		w.awaitEnd("b", time.Minute)
		w.checkOneStory("b")
	})
}

func TestRedis_DownForAWhileLosesNothing(t *testing.T) {
	for _, down := range []time.Duration{5 * time.Second, 40 * time.Second} {
		t.Run(down.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				tokens := w.many(30, 5*time.Second, 60*time.Second)
				time.Sleep(15 * time.Second)
				w.mini.SetError("LOADING Redis is down in this test")
				time.Sleep(down)
				w.mini.SetError("")
				w.awaitAll(tokens, 3*time.Minute)
				for _, token := range tokens {
					w.checkOneStory(token)
				}
			})
		})
	}
}

// TestRedis_DownWhenThe2xxComes holds the note back for longer than the claim:
// the note is written before another can post again.
func TestRedis_DownWhenThe2xxComes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.start()
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 200, 3 * time.Second, nil }
		w.session("a", confirming(0))
		w.await("the seal", 5*time.Second, func() bool { return w.record("a").State == outcome.Sealed })
		w.mini.SetError("LOADING Redis is down in this test")
		time.Sleep(30 * time.Second)
		w.mini.SetError("")
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}

// panicking breaks in the middle of every poll of one session.
type panicking struct{ inner http.RoundTripper }

func (p panicking) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/status/broken") {
		panic("JONASMARKED 30303039914")
	}
	return p.inner.RoundTrip(r)
}

func TestPanic_IsCaughtPerSessionAndTheThirdEndsIt(t *testing.T) {
	inWorld(t, func(w *world) {
		w.markSign = panicking{w.sim}
		w.start()
		w.session("broken", confirming(0))
		w.session("well", confirming(10*time.Second))
		w.awaitEnd("well", time.Minute)
		w.checkOneStory("well")
		w.awaitEnd("broken", time.Minute)
		if p := w.checkOneStory("broken"); p.event.Type != webhook.Failed || p.event.Data.Error.Reason != "internal" {
			t.Errorf("the event: %s", p.body)
		}
		w.checkNothingPersonal()
	})
}

func TestPanic_InADeliveryIsRepeatedAndSaysNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n <= 4 {
				panic("JONASMARKED 30303039914")
			}
			return 200, 0, nil
		}
		w.session("a", confirming(0))
		w.await("the delivery", 5*time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkNothingPersonal()
	})
}

func TestRun_RefusesBadOptionsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Lease: time.Second, ShutdownTimeout: time.Second, PollRate: -1, Pace: Pace{{From: time.Second, Every: 0}}})
	if err == nil {
		t.Fatal("bad options are accepted")
	}
	for _, want := range []string{"Redis is required", "Accounts is empty", "Lease", "ShutdownTimeout", "PollRate", "Pace", "outcome key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
}

func TestReady_OnlyWhileItRunsAndRedisAnswers(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		time.Sleep(time.Second)
		if err := p.Ready(w.ctx); err != nil {
			t.Errorf("while it runs: %v", err)
		}
		w.mini.SetError("LOADING")
		if err := p.Ready(w.ctx); err == nil {
			t.Error("ready without Redis")
		}
		w.mini.SetError("")
		p.stop()
		if err := p.Ready(context.Background()); err == nil {
			t.Error("ready after the stop")
		}
	})
}

func TestOutcome_OfMarkSignsTroubleIsNotLogged(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, Outage: true})
		w.session("a", confirming(0))
		time.Sleep(10 * time.Second)
		if logs := w.logs.String(); strings.Contains(logs, "marksign.example") || !strings.Contains(logs, "MarkSign is in trouble") {
			t.Errorf("the logs: %s", logs)
		}
	})
}

// TestRedis_ThatIsFullIsNotAskedWithoutPause counts what a worker asks of a Redis
// that refuses every script.
func TestRedis_ThatIsFullIsNotAskedWithoutPause(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(20*time.Second))
		time.Sleep(5 * time.Second)
		w.mini.SetError("OOM command not allowed when used memory > 'maxmemory'.")
		before := w.mini.CommandCount()
		time.Sleep(10 * time.Second)
		if asked := w.mini.CommandCount() - before; asked > 2000 {
			t.Errorf("%d commands in ten seconds", asked)
		}
		w.mini.SetError("")
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}
