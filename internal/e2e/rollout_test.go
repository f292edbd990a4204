//go:build unix

package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/webhook"
)

// restart stops a process, and starts another with other settings in its place.
func (w *world) restart(p *process, settings ...string) *process {
	w.t.Helper()
	p.terminate()
	if code := p.awaitExit(time.Minute); code != 0 {
		w.t.Errorf("%s stopped with exit code %d", p.name, code)
	}
	return w.serve(settings...)
}

// awaitState waits until the records of all sessions say so. It runs what waits in
// the queues early, as an operator does.
func (w *world) awaitState(all []string, want outcome.State) {
	w.t.Helper()
	eventually(w.t, time.Minute, "every session is "+string(want), func() bool {
		for _, token := range all {
			if got := w.rdb.HGet(w.ctx, recordKey(token), "state").Val(); got != string(want) {
				w.hurryDeliveries()
				return false
			}
		}
		return true
	})
}

func (w *world) hurryDeliveries() {
	_, _ = w.tasks.RunAllScheduledTasks(queue.Deliver)
	_, _ = w.tasks.RunAllRetryTasks(queue.Deliver)
}

// attempts is how many posts the record has noted.
func (w *world) attempts(token string) int {
	n, _ := strconv.Atoi(w.rdb.HGet(w.ctx, recordKey(token), "attempts").Val())
	return n
}

// logged counts the lines of a process's log that say so about a session.
func (p *process) logged(msg, token string) int {
	n := 0
	for _, e := range p.entries() {
		if said, _ := e["msg"].(string); strings.HasPrefix(said, msg) && e["session"] == "default:"+token {
			n++
		}
	}
	return n
}

const postFailed = "posting the event failed"

// A receiver needs longer than the DELIVERY_TIMEOUT of the process that left the
// event to webhook:deliver. The next process has the time, and so it posts once.
func TestRollout_DeliveryTimeoutRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const needs = 4 * time.Second
	w.receiver.script = func(webhook.Event, []byte, int) answer { return answer{after: needs} }
	a := w.serve("DELIVERY_TIMEOUT=1s")
	all := w.begin("raised", 3, confirms(0, 0))
	w.enqueue(all)
	w.awaitState(all, outcome.Handed)
	b := w.restart(a, "DELIVERY_TIMEOUT=25s")
	w.awaitState(all, outcome.Delivered)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
	for _, token := range all {
		var ofA, ofB int
		for _, p := range w.receiver.of(token) {
			ofA, ofB = ofA+count(p.by == a.name), ofB+count(p.by == b.name)
		}
		if ofB != 1 {
			t.Errorf("%s: the process that waits long enough posted it %d times, want once", token, ofB)
		}
		if ofA == 0 || a.logged(postFailed, token) != ofA {
			t.Errorf("%s: the process that waits too short posted it %d times and logged %d of them", token, ofA, a.logged(postFailed, token))
		}
		if n := w.attempts(token); n != ofA+ofB {
			t.Errorf("%s: the record has %d attempts of %d", token, n, ofA+ofB)
		}
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// A process with a long DELIVERY_TIMEOUT dies in the middle of a post. The next,
// with a short one, waits until nothing of that post can be under way any more,
// and then goes by its own.
func TestRollout_DeliveryTimeoutLowered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const long = 6 * time.Second
	w.receiver.script = func(_ webhook.Event, _ []byte, nth int) answer {
		return answer{after: []time.Duration{time.Minute, 3 * time.Second, 0}[min(nth, 3)-1]}
	}
	a := w.serve("DELIVERY_TIMEOUT="+long.String(), "LEASE=3s")
	all := w.begin("lowered", 3, confirms(0, 0))
	w.enqueue(all)
	eventually(t, time.Minute, "A posts them all", func() bool { return w.receiver.underWay(a.name) == len(all) })
	a.kill()
	b := w.serve("DELIVERY_TIMEOUT=1s", "LEASE=3s")
	w.awaitState(all, outcome.Delivered)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	for _, token := range all {
		posts := w.receiver.of(token)
		if len(posts) < 2 {
			t.Fatalf("%s was posted %d times", token, len(posts))
		}
		if apart := posts[1].begun.Sub(posts[0].begun); apart < long {
			t.Errorf("%s was posted again %v after a post that might take %v", token, apart, long)
		}
		if n := w.attempts(token); n != len(posts) || b.logged(postFailed, token) != len(posts)-2 {
			t.Errorf("%s: of %d posts the record has %d, and B logged that %d failed", token, len(posts), n, b.logged(postFailed, token))
		}
	}
	w.check(all, nil)
}

// kept is for how long Redis keeps the sealed result.
func (w *world) kept(token string) time.Duration {
	return w.rdb.PTTL(w.ctx, recordKey(token)+":sealed").Val()
}

// DELIVERY_WINDOW is lowered while an event waits. A process that still has the
// longer one must find the result; and when the shorter one is over the event is
// given up, can be delivered again, and is the same.
func TestRollout_DeliveryWindowLowered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var well atomic.Bool
	w.receiver.script = func(webhook.Event, []byte, int) answer {
		return answer{status: map[bool]int{false: http.StatusInternalServerError}[well.Load()]}
	}
	a := w.serve("DELIVERY_WINDOW=72h")
	all := w.begin("shorter", 3, confirms(0, 0))
	w.enqueue(all)
	w.awaitState(all, outcome.Handed)
	posted := w.receiver.posts()
	w.restart(a, "DELIVERY_WINDOW=1m", "REDELIVERY_WINDOW=1h")
	eventually(t, time.Minute, "each is posted again", func() bool {
		w.hurryDeliveries()
		return w.receiver.posts() >= posted+2*len(all)
	})
	for _, token := range all {
		if kept := w.kept(token); kept < 71*time.Hour {
			t.Errorf("%s is kept for %v, too short for a process whose window is 72h", token, kept)
		}
		w.rdb.HIncrBy(w.ctx, recordKey(token), "final", -time.Minute.Milliseconds())
	}
	w.awaitState(all, outcome.GivenUp)
	for _, token := range all {
		if kept := w.kept(token); kept > time.Hour || kept < time.Hour-time.Minute {
			t.Errorf("%s is kept for %v within a redelivery window of 1h", token, kept)
		}
	}
	well.Store(true)
	w.redeliverAll(len(all))
	w.awaitState(all, outcome.Delivered)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, func(_ story, f fault) bool { return f == removedEarly }) // it was given up before
}
