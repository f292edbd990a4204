package e2e

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

var waitingDeliveries = flag.Int("waiting-deliveries", 1000, "how many deliveries TestServe_AReceiverIsBackThatManyWaitFor lets wait; the goal is 10000")

// late says of each event how long it took from its outcome, or from the receiver's
// return if that was later, until the receiver took it.
func (w *world) late(tokens []string, back time.Time) distribution {
	w.t.Helper()
	var all distribution
	for _, token := range tokens {
		posts := w.receiver.of(token)
		if len(posts) == 0 || !posts[len(posts)-1].acknowledged() {
			w.t.Errorf("%s was not delivered", token)
			continue
		}
		from := w.snapshot(token).FinalSeenAt
		if from.Before(back) {
			from = back
		}
		all = append(all, posts[len(posts)-1].ended.Sub(from))
	}
	return all
}

// acknowledged counts the events that the receiver took.
func (w *world) acknowledged(tokens []string) (n int) {
	for _, token := range tokens {
		if posts := w.receiver.of(token); len(posts) > 0 && posts[len(posts)-1].acknowledged() {
			n++
		}
	}
	return n
}

// endEach has n sessions end, 25 each second, and returns their tokens.
func (w *world) endEach(prefix string, n int, callback string) []string {
	w.t.Helper()
	tokens := w.begin(prefix, n, confirms(0, 0))
	for begun, i := time.Now(), 0; i < n; i++ {
		pass(time.Until(begun.Add(time.Duration(i) * 40 * time.Millisecond)))
		s := tasks.Session{Token: tokens[i], Method: tasks.SmartID, CallbackURL: callback}
		if err := w.client.Enqueue(w.ctx, s); err != nil {
			w.t.Fatal(err)
		}
	}
	return tokens
}

// A receiver is away for a moment while sessions end. On a quiet machine the events are
// late by 2 s and 5 s at most; what a busy one may add is in the bound.
func TestServe_AReceiverIsBackAfterAMoment(t *testing.T) {
	heavy(t)
	for _, c := range []struct{ away, most time.Duration }{{3 * time.Second, 2 * time.Second}, {time.Minute, 5 * time.Second}} {
		t.Run(c.away.String(), func(t *testing.T) {
			w := newWorld(t)
			var away atomic.Bool
			w.receiver.script = func(webhook.Event, []byte, int) answer {
				if away.Load() {
					return answer{status: 503}
				}
				return answer{after: 20 * time.Millisecond}
			}
			p := w.serve()
			noise := p.measureNoise()
			all := w.endEach("before", 50, "")
			away.Store(true)
			all = append(all, w.endEach("away", int(c.away/(40*time.Millisecond)), "")...)
			away.Store(false)
			back := time.Now()
			all = append(all, w.endEach("after", 50, "")...)
			eventually(t, 2*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
			machine := noise()
			late := w.late(all, back)
			late.log(t, fmt.Sprintf("away for %v: from the return to the 2xx", c.away))
			machine.log(t, "probes meanwhile")
			if most := 2*c.most + 5*machine.quantile(0.99); late.quantile(0.99) > most {
				t.Errorf("p99 is %v, want %v at most", late.quantile(0.99), most)
			}
			w.awaitRemoved(all, time.Minute)
			w.check(all, nil)
		})
	}
}

// Many events wait for a receiver that is away, and takes 20 ms for each answer after.
func TestServe_AReceiverIsBackThatManyWaitFor(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	var away atomic.Bool
	away.Store(true)
	w.receiver.script = func(webhook.Event, []byte, int) answer {
		if away.Load() {
			return answer{status: 503}
		}
		return answer{after: 20 * time.Millisecond}
	}
	p := w.serve("DELIVERY_CONCURRENCY=128") // 64 slots to one host
	all := w.begin("waits", *waitingDeliveries, confirms(0, 0))
	w.enqueue(all)
	handed := func() bool {
		n, _ := w.rdb.ZCard(w.ctx, "asynq:{identwatch-follow}:completed").Result()
		return int(n) == len(all)
	}
	eventually(t, 5*time.Minute, "every event is handed over", handed)
	pass(30 * time.Second)
	away.Store(false)
	back := time.Now()
	noise := p.measureNoise()
	eventually(t, 5*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
	machine := noise()
	late := w.late(all, back)
	late.log(t, fmt.Sprintf("%d waited: from the return to the 2xx", len(all)))
	machine.log(t, "probes meanwhile")
	if most := time.Minute + 100*machine.quantile(0.99); late.quantile(1) > most {
		t.Errorf("the last was delivered after %v, want %v at most", late.quantile(1), most)
	}
	w.awaitRemoved(all, 5*time.Minute)
	w.check(all, nil)
}

// A receiver takes half a second for each answer, and gets 600 events at once.
func TestServe_ASlowReceiverGetsWhatItsSlotsAllow(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	w.receiver.script = func(webhook.Event, []byte, int) answer { return answer{after: 500 * time.Millisecond} }
	p := w.serve("DELIVERY_CONCURRENCY=64")
	noise := p.measureNoise()
	all := w.begin("slow", 600, confirms(0, 0))
	w.enqueue(all)
	eventually(t, 2*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
	machine := noise()
	var first, last time.Time
	for _, token := range all {
		posts := w.receiver.of(token)
		if first.IsZero() || posts[0].begun.Before(first) {
			first = posts[0].begun
		}
		if posts[0].ended.After(last) {
			last = posts[0].ended
		}
	}
	const allowed = 600 / 32 * 500 * time.Millisecond
	t.Logf("600 events of 500 ms through 32 slots took %v, their slots allow %v", last.Sub(first), allowed)
	machine.log(t, "probes meanwhile")
	if most := 2*allowed + 300*machine.quantile(0.99); last.Sub(first) > most {
		t.Errorf("that is over %v", most)
	}
	w.awaitRemoved(all, time.Minute)
	w.check(all, nil)
}
