package worker

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

// awayUntil is a receiver that answers 503 until it is set.
func (w *world) awayUntil(back *atomic.Bool) {
	w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) {
		if !back.Load() {
			return 503, 5 * time.Millisecond, nil
		}
		return 204, 5 * time.Millisecond, nil
	}
}

// handedMany has events wait for a receiver that is away, and returns their tokens.
func (w *world) handedMany(n int) []string {
	w.t.Helper()
	var tokens []string
	for i := range n {
		tokens = append(tokens, fmt.Sprint("tok", i))
		w.session(tokens[i], confirming(0))
	}
	for _, token := range tokens {
		w.await("the hand-over of "+token, 10*time.Second, func() bool { return w.record(token).State == outcome.Handed })
	}
	return tokens
}

// awaitDelivered waits for every event, checks its story, and returns how long the
// last took since a time.
func (w *world) awaitDelivered(tokens []string, since time.Time, within time.Duration) (last time.Duration) {
	w.t.Helper()
	for _, token := range tokens {
		w.await("the delivery of "+token, within, func() bool { return w.record(token).State == outcome.Delivered })
	}
	for _, token := range tokens {
		last = max(last, w.checkOneStory(token).end.Sub(since))
	}
	return last
}

func TestWaiting_TheFirstRetryComesAfterASecond(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(2, 500)
		w.start()
		w.session("a", confirming(0))
		w.awaitTask(queue.Deliver, "a", time.Minute)
		posts := w.receiver.of("a")
		for i, want := range []time.Duration{time.Second, 5 * time.Second} {
			if pause := posts[i+1].begun.Sub(posts[i].end); pause < want || pause > want*11/10+20*time.Millisecond {
				t.Errorf("pause %d is %v, want %v", i+1, pause, want)
			}
		}
	})
}

// A receiver refuses one event for what it is, and takes all others.
func TestWaiting_OneThatFailsForItselfKeepsToTheSchedule(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			if r.URL.Path == "/refused" {
				return 500, 0, nil
			}
			return 204, 0, nil
		}
		w.start()
		w.session("refused", confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://app.example/refused" })
		for i := range 60 {
			w.session(fmt.Sprint("tok", i), confirming(0))
			time.Sleep(time.Second)
		}
		if n := len(w.receiver.of("refused")); n != 4 { // at 0, 1, 6 and 36 s
			t.Errorf("%d posts in a minute", n)
		}
	})
}

// The process dies with a full list. Each event's task brings it.
func TestWaiting_ADeadProcessLosesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		p := w.start()
		tokens := w.handedMany(60)
		time.Sleep(20 * time.Second)
		if n := p.hosts.Waiting(); n != len(tokens) {
			t.Fatalf("%d of %d are in the list", n, len(tokens))
		}
		p.cut()
		w.start()
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), time.Minute); last > 45*time.Second {
			t.Errorf("the last went out after %v", last)
		}
	})
}

// SIGTERM while events wait: another worker has them at once.
func TestWaiting_AStopHandsTheListOver(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		p := w.start()
		tokens := w.handedMany(60)
		time.Sleep(2 * time.Minute)
		p.stop()
		w.start()
		time.Sleep(5 * time.Second)
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), time.Minute); last > 5*time.Second {
			t.Errorf("the last went out %v after the return", last)
		}
	})
}

// A host is back, and asynq has thousands of other tasks to run before those that came
// due meanwhile.
func TestWaiting_WhoseTaskIsLateIsPostedFromMemory(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		w.start()
		tokens := w.handedMany(60)
		if err := w.tasks.PauseQueue(queue.Deliver); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second) // every task is due
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), time.Minute); last > 5*time.Second {
			t.Errorf("the last went out %v after the return", last)
		}
	})
}

func TestWaiting_RetryAfterHoldsAlsoIfTheHostIsBack(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.receiver.answer = func(r *http.Request, n int) (int, time.Duration, http.Header) {
			switch {
			case r.URL.Path == "/asks" && n == 1:
				return 503, 0, http.Header{"Retry-After": {"120"}}
			case !back.Load():
				return 503, 0, nil
			}
			return 204, 0, nil
		}
		w.start()
		w.session("asks", confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://app.example/asks" })
		tokens := w.handedMany(30)
		time.Sleep(20 * time.Second)
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), time.Minute); last > 5*time.Second {
			t.Errorf("the last went out %v after the return", last)
		}
		w.awaitDelivered([]string{"asks"}, time.Now(), 3*time.Minute)
		posts := w.receiver.of("asks")
		if pause := posts[1].begun.Sub(posts[0].end); len(posts) != 2 || pause < 2*time.Minute || pause > 2*time.Minute+15*time.Second {
			t.Errorf("%d posts, the second after %v", len(posts), pause)
		}
	})
}

// Two workers share the sessions, and each has a view of the host of its own.
func TestWaiting_TwoWorkersPostEachEventOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		w.start()
		w.start()
		tokens := w.handedMany(200)
		time.Sleep(50 * time.Second)
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), time.Minute); last > 5*time.Second {
			t.Errorf("the last went out %v after the return", last)
		}
	})
}

// An operator deletes the task of an event that waits.
func TestWaiting_WhoseTaskIsDeletedIsPostedNoMore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1000, 500)
		p := w.start()
		w.session("a", confirming(0))
		w.await("the second post", time.Minute, func() bool { return len(w.receiver.of("a")) == 2 })
		time.Sleep(time.Second)
		if err := w.tasks.DeleteTask(queue.Deliver, "default:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if n := len(w.receiver.of("a")); n > 3 || p.hosts.Waiting() != 0 {
			t.Errorf("%d posts, %d in the list", n, p.hosts.Waiting())
		}
	})
}

// Redis refuses everything for a while in which the list posts.
func TestWaiting_GoesOnSoonAfterRedisIsBack(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		l := &line{breaks: func(args string) bool { return strings.Contains(args, "HTTP 503") && back.Load() }, outage: 3 * time.Second}
		w.start(l.on)
		tokens := w.handedMany(40)
		time.Sleep(20 * time.Second)
		back.Store(true)
		if last := w.awaitDelivered(tokens, time.Now(), 2*time.Minute); last > 15*time.Second {
			t.Errorf("the last went out %v after the return", last)
		}
	})
}
