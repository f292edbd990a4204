package e2e

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

var (
	longestOutage     = flag.Duration("longest-outage", 3*time.Second, "for how long at most the receiver of TestServe_AReceiverIsBackAfterAMoment is away; there is a case of 1m")
	waitingDeliveries = flag.Int("waiting-deliveries", 0, "how many deliveries TestServe_AReceiverIsBackThatManyWaitFor lets wait; 0 leaves it out; the goal is 10000")
	outageAfter       = flag.Duration("outage-after", 30*time.Second, "for how long its receiver stays away once they all wait; probes are as far apart as they get after 5m")
)

// away is a receiver that is away now and then, and how it answers when it is not.
// Sessions of others end beside it all the while, whose receiver is another host.
type away struct {
	is    atomic.Bool
	takes time.Duration
}

func (a *away) script(e webhook.Event, _ []byte, _ int) answer {
	switch {
	case strings.HasPrefix(e.Data.Token, "other"):
		return answer{after: 5 * time.Millisecond}
	case a.is.Load():
		return answer{status: 503}
	}
	return answer{after: a.takes}
}

// others has sessions end whose events another host gets, ten each second, until the
// function that it returns is called. That returns their tokens.
func (w *world) others(p *process) (stop func() []string) {
	w.t.Helper()
	url := listen(w.t, w.receiver.front(p.name)) + "/callback"
	var all []string
	var ending sync.WaitGroup
	quit := make(chan struct{})
	ending.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			token := fmt.Sprintf("other-%05d", len(all))
			w.sim.Add(token, marksim.SmartID, confirms(0, 0))
			if err := w.client.Enqueue(w.ctx, tasks.Session{Token: token, Method: tasks.SmartID, CallbackURL: url}); err != nil {
				w.t.Error(err)
			}
			all = append(all, token)
		}
	})
	return func() []string {
		close(quit)
		ending.Wait()
		return all
	}
}

// judgeOthers waits for the events of others and sees that nothing made them late.
func (w *world) judgeOthers(tokens []string, machine distribution) {
	w.t.Helper()
	eventually(w.t, time.Minute, "every event of others is delivered", func() bool { return w.acknowledged(tokens) == len(tokens) })
	late := w.late(tokens, time.Time{})
	late.log(w.t, "others: from the outcome to the 2xx")
	if most := 100*time.Millisecond + 5*machine.quantile(0.99); late.quantile(0.99) > most {
		w.t.Errorf("p99 of others is %v, want %v at most", late.quantile(0.99), most)
	}
}

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
			if c.away > *longestOutage {
				t.Skip("takes its time: -longest-outage=1m is for .ci/long")
			}
			w := newWorld(t)
			receiver := &away{takes: 20 * time.Millisecond}
			w.receiver.script = receiver.script
			p := w.serve()
			noise, others := p.measureNoise(), w.others(p)
			all := w.endEach("before", 50, "")
			receiver.is.Store(true)
			all = append(all, w.endEach("away", int(c.away/(40*time.Millisecond)), "")...)
			receiver.is.Store(false)
			back := time.Now()
			all = append(all, w.endEach("after", 50, "")...)
			eventually(t, 2*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
			beside, machine := others(), noise()
			late := w.late(all, back)
			late.log(t, fmt.Sprintf("away for %v: from the return to the 2xx", c.away))
			machine.log(t, "probes meanwhile")
			w.judgeOthers(beside, machine)
			if most := 2*c.most + 5*machine.quantile(0.99); late.quantile(0.99) > most {
				t.Errorf("p99 is %v, want %v at most", late.quantile(0.99), most)
			}
			all = append(all, beside...)
			w.awaitRemoved(all, time.Minute)
			w.check(all, nil)
		})
	}
}

// Many events wait for a receiver that is away, and takes 20 ms for each answer after.
func TestServe_AReceiverIsBackThatManyWaitFor(t *testing.T) {
	heavy(t)
	if *waitingDeliveries == 0 {
		t.Skip("takes minutes: -waiting-deliveries=10000 is for .ci/long")
	}
	w := newWorld(t)
	receiver := &away{takes: 20 * time.Millisecond}
	receiver.is.Store(true)
	w.receiver.script = receiver.script
	p := w.serve("DELIVERY_CONCURRENCY=128") // 64 slots to one host
	all := w.begin("waits", *waitingDeliveries, confirms(0, 0))
	w.enqueue(all)
	handed := func() bool {
		n, _ := w.rdb.ZCard(w.ctx, "asynq:{identwatch-follow}:completed").Result()
		return int(n) == len(all)
	}
	eventually(t, 5*time.Minute, "every event is handed over", handed)
	noise, others := p.measureNoise(), w.others(p)
	pass(*outageAfter)
	receiver.is.Store(false)
	back := time.Now()
	eventually(t, 5*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
	beside, machine := others(), noise()
	late := w.late(all, back)
	late.log(t, fmt.Sprintf("%d waited: from the return to the 2xx", len(all)))
	machine.log(t, "probes meanwhile")
	w.judgeOthers(beside, machine)
	if most := time.Minute + 100*machine.quantile(0.99); late.quantile(1) > most {
		t.Errorf("the last was delivered after %v, want %v at most", late.quantile(1), most)
	}
	all = append(all, beside...)
	w.awaitRemoved(all, 5*time.Minute)
	w.check(all, nil)
}

// A receiver takes half a second for each answer, and gets 600 events at once.
func TestServe_ASlowReceiverGetsWhatItsSlotsAllow(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	receiver := &away{takes: 500 * time.Millisecond}
	w.receiver.script = receiver.script
	p := w.serve("DELIVERY_CONCURRENCY=64")
	noise, others := p.measureNoise(), w.others(p)
	all := w.begin("slow", 600, confirms(0, 0))
	w.enqueue(all)
	eventually(t, 2*time.Minute, "every event is delivered", func() bool { return w.acknowledged(all) == len(all) })
	beside, machine := others(), noise()
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
	const allowed = (600 + 31) / 32 * 500 * time.Millisecond
	t.Logf("600 events of 500 ms through 32 slots took %v, their slots allow %v", last.Sub(first), allowed)
	machine.log(t, "probes meanwhile")
	w.judgeOthers(beside, machine)
	if most := 2*allowed + 300*machine.quantile(0.99); last.Sub(first) > most {
		t.Errorf("that is over %v", most)
	}
	all = append(all, beside...)
	w.awaitRemoved(all, time.Minute)
	w.check(all, nil)
}
