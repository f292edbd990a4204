package worker

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// awaitPosts waits until the receiver got so many posts of a session, also those that
// are still under way.
func (w *world) awaitPosts(token string, n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("post %d of %s", n, token), 5*time.Hour, func() bool {
		w.receiver.mu.Lock()
		defer w.receiver.mu.Unlock()
		return w.receiver.counts[token] >= n
	})
}

// SIGTERM while a receiver with few events is away, so that no circuit is open. The
// next worker tries them at once.
func TestHandBack_WhatSleepsByTheScheduleIsHandedOver(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		w.awayUntil(&back)
		p := w.start()
		tokens := w.handedMany(2)
		for _, token := range tokens {
			w.awaitPosts(token, 5) // the next would be in 10 minutes
		}
		time.Sleep(time.Minute) // what has just failed is left alone
		p.stop()
		back.Store(true)
		w.start()
		if last := w.awaitDelivered(tokens, time.Now(), time.Hour); last > 3*time.Second {
			t.Errorf("the last went out after %v", last)
		}
	})
}

// A pause that the receiver asked for is kept across a stop.
func TestHandBack_APauseThatTheReceiverAskedForIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return 503, 0, http.Header{"Retry-After": {"60"}}
			}
			return 204, 0, nil
		}
		p := w.start()
		tokens := w.handedMany(1)
		p.stop()
		w.start()
		w.awaitDelivered(tokens, time.Now(), time.Hour)
		posts := w.receiver.of(tokens[0])
		if pause := posts[1].begun.Sub(posts[0].end); pause < time.Minute || pause > 75*time.Second {
			t.Errorf("posted again after %v", pause)
		}
	})
}

// A first post is under way when the worker is told to stop, and fails, with a circuit
// that has been open for an hour: another worker has the event at once.
func TestHandBack_WhatFailsDuringTheStopIsHandedOver(t *testing.T) {
	for name, first := range map[string]bool{"a first post": true, "a repeated post": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
					if n == 1 && first || n == 2 && !first {
						return 503, 2 * time.Second, nil
					}
					return 503, 0, nil
				}
				p := w.start()
				w.session("a", confirming(0))
				if first {
					w.awaitPosts("a", 1)
				} else {
					w.awaitPosts("a", 2)
				}
				before := len(w.receiver.of("a")) + 1
				p.stop()
				stopped := time.Now()
				w.receiver.mu.Lock()
				w.receiver.answer = nil
				w.receiver.mu.Unlock()
				w.start()
				w.awaitDelivered([]string{"a"}, stopped, time.Hour)
				if again := w.receiver.of("a")[before].begun.Sub(stopped); again > 3*time.Second {
					t.Errorf("posted again %v after the stop", again)
				}
			})
		})
	}
}

// longAway has events wait in memory for a receiver that has been away for five minutes,
// with tasks that are due only a minute later. It returns their tokens.
func (w *world) longAway(p *process) []string {
	w.t.Helper()
	tokens := w.handedMany(12)
	time.Sleep(5 * time.Minute)
	if n := p.hosts.Waiting(); n != len(tokens) {
		w.t.Fatalf("%d of %d are in the list", n, len(tokens))
	}
	return tokens
}

// firstWith is the first of the sessions whose record holds, "" if none does.
func (w *world) firstWith(tokens []string, holds func(outcome.Record) bool) string {
	for _, token := range tokens {
		if holds(w.record(token)) {
			return token
		}
	}
	return ""
}

// The process dies while it posts from memory, the receiver having come back.
func TestHandBack_ADeathWhileAnEventIsPostedFromMemoryCostsSeconds(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		posting := make(chan struct{}, 100)
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) {
			if !back.Load() {
				return 503, 0, nil
			}
			posting <- struct{}{}
			return 204, 5 * time.Second, nil
		}
		p := w.start()
		tokens := w.longAway(p)
		back.Store(true)
		<-posting
		token := w.firstWith(tokens, func(r outcome.Record) bool { return r.ClaimLeft("") > 0 })
		p.cut()
		other := w.start()
		w.await("the delivery of "+token, other.opts.DeliveryTimeout+15*time.Second, func() bool { return w.record(token).State == outcome.Delivered })
	})
}

// The process dies right after the note of a delivery from memory: the DELETE does not
// wait until the event's task would have been due.
func TestHandBack_ADeathAfterTheNoteDelaysNoRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		var tokens []string
		w.awayUntil(&back)
		token := ""
		delivered := func(r outcome.Record) bool { return r.State == outcome.Delivered }
		l := &line{breaks: func(string) bool {
			if back.Load() {
				token = w.firstWith(tokens, delivered)
			}
			return token != ""
		}, outage: 24 * time.Hour}
		p := w.start(l.on)
		tokens = w.longAway(p)
		back.Store(true)
		w.await("the note", time.Minute, func() bool { return l.down() > 0 })
		p.cut()
		other := w.start()
		w.await("the removal of "+token, other.opts.DeliveryTimeout+15*time.Second, func() bool { return w.record(token).Removal == outcome.Removed })
	})
}

// An operator deletes the event's task while it is posted from memory, and the receiver
// takes the event: the session is removed all the same.
func TestHandBack_IsRemovedAlsoIfItsTaskIsDeletedMeanwhile(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 2 {
				return 204, 2 * time.Second, nil
			}
			return 503, 0, nil
		}
		w.start()
		w.session("a", confirming(0))
		w.awaitPosts("a", 2)
		if err := w.tasks.DeleteTask(queue.Deliver, "default:a"); err != nil {
			t.Fatal(err)
		}
		w.await("the removal", time.Minute, func() bool { return w.record("a").Removal == outcome.Removed })
	})
}

// Redis was away until a moment before an event is due in memory: what others have to
// note is written first.
func TestHandBack_WaitsForNotesWhenRedisIsBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(2, 503)
		w.start()
		tokens := w.handedMany(4)
		for _, token := range tokens {
			w.awaitPosts(token, 2) // the third follows in 5 s to 5.5 s
		}
		time.Sleep(4500 * time.Millisecond)
		w.mini.SetError("LOADING Redis is loading the dataset in memory")
		time.Sleep(450 * time.Millisecond)
		w.mini.SetError("")
		back := time.Now()
		w.awaitDelivered(tokens, back, time.Minute)
		for _, token := range tokens {
			if after := w.receiver.of(token)[2].begun.Sub(back); after < 1300*time.Millisecond || after > 3500*time.Millisecond {
				t.Errorf("%s was posted %v after the return of Redis", token, after)
			}
		}
	})
}

// What fails here, and not at the receiver, is not made the probe of each second of a
// host whose circuit is open.
func TestHandBack_WhatFailsHereKeepsToItsPauseWhileTheCircuitIsOpen(t *testing.T) {
	inWorld(t, func(w *world) {
		const events = 3
		var here atomic.Bool
		var failed atomic.Int64
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 503, 0, nil }
		w.receiver.trouble = func(int64) error {
			if !here.Load() {
				return nil
			}
			failed.Add(1)
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		w.start()
		w.handedMany(events)
		w.await("the circuit", 2*time.Minute, func() bool { return strings.Contains(w.logs.String(), "keeps failing") })
		here.Store(true)
		time.Sleep(time.Minute)
		if n := failed.Load(); n < events || n > events*60/5 {
			t.Errorf("%d tries in a minute, each event's pause is 5 s", n)
		}
	})
}
