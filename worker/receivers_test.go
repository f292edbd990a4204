//go:build !race

// The race detector makes these lives of many sessions too long; .ci/run runs
// them without it.

package worker

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/tasks"
)

var hourDeliveries = flag.Int("hour-deliveries", 1000, "how many deliveries TestReceiver_IsBackAfterAnHour lets wait; the goal is 10000")

const (
	awayCallback  = "https://away.example/hook"
	otherCallback = "https://other.example/hook"
)

// outage is a receiver that is away for a time, with sessions that end all the while.
type outage struct {
	*world
	away     atomic.Bool
	from, to time.Time
	started  int
	tokens   []string
	others   []string
	takes    time.Duration // of each answer of the receiver that is away now and then
}

func newOutage(w *world, takes time.Duration) *outage {
	o := &outage{world: w, takes: takes}
	w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
		switch {
		case r.URL.Host != "away.example":
			return 204, 5 * time.Millisecond, nil
		case o.away.Load():
			return 503, o.takes, nil
		}
		return 204, o.takes, nil
	}
	return o
}

// end lets sessions end: 25 each second at the receiver, and 5 at another, for so long.
func (o *outage) end(during time.Duration) {
	for begun := time.Now(); time.Since(begun) < during; time.Sleep(40 * time.Millisecond) {
		o.started++
		o.tokens = append(o.tokens, o.one("away", awayCallback))
		if o.started%5 == 0 {
			o.others = append(o.others, o.one("other", otherCallback))
		}
	}
}

func (o *outage) one(prefix, callback string) string {
	token := fmt.Sprint(prefix, o.started)
	o.session(token, confirming(0), func(s *tasks.Session) { s.CallbackURL = callback })
	return token
}

func (o *outage) begins() { o.from = time.Now(); o.away.Store(true) }
func (o *outage) ends()   { o.to = time.Now(); o.away.Store(false) }

// delivered returns when the receiver took each event; zero where it did not yet.
func (w *world) delivered() map[string]time.Time {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	at := make(map[string]time.Time, len(w.receiver.posts))
	for _, p := range w.receiver.posts {
		if p.status/100 == 2 {
			at[p.token] = p.end
		}
	}
	return at
}

// late waits for all events and returns how late each was: since its outcome, or
// since the receiver's return if that was later. They are sorted.
func (o *outage) late(tokens []string, within time.Duration) []time.Duration {
	o.t.Helper()
	var at map[string]time.Time
	o.await("all deliveries", within, func() bool {
		at = o.delivered()
		for _, token := range tokens {
			if at[token].IsZero() {
				time.Sleep(time.Second)
				return false
			}
		}
		return true
	})
	var all []time.Duration
	for _, token := range tokens {
		from := o.seen(token).FinalSeenAt
		if from.Before(o.to) && !from.Before(o.from) && strings.HasPrefix(token, "away") {
			from = o.to
		}
		all = append(all, at[token].Sub(from))
	}
	slices.Sort(all)
	return all
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// report logs the figures, and fails if the 99th percentile is over the bound.
func (o *outage) report(what string, all []time.Duration, most time.Duration) {
	o.t.Helper()
	p50, p99, last := quantile(all, 0.5), quantile(all, 0.99), all[len(all)-1]
	o.t.Logf("%s: %d events, p50 %v, p99 %v, last %v", what, len(all), p50.Round(time.Millisecond), p99.Round(time.Millisecond), last.Round(time.Millisecond))
	if p99 > most {
		o.t.Errorf("%s: p99 %v, want %v at most", what, p99, most)
	}
}

// A receiver is away for a while, and sessions end as ever.
func TestReceiver_IsBackAfterAMoment(t *testing.T) {
	for _, c := range []struct{ away, most time.Duration }{{3 * time.Second, 2 * time.Second}, {time.Minute, 5 * time.Second}} {
		t.Run(c.away.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start()
				o := newOutage(w, 20*time.Millisecond)
				o.end(5 * time.Second)
				o.begins()
				o.end(c.away)
				o.ends()
				o.end(10 * time.Second)
				o.report("away for "+c.away.String(), o.late(o.tokens, time.Hour), c.most)
				o.report("others", o.late(o.others, time.Minute), 50*time.Millisecond)
			})
		})
	}
}

// A receiver is away for an hour, and thousands of events wait for it.
func TestReceiver_IsBackAfterAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		o := newOutage(w, 20*time.Millisecond)
		o.begins()
		o.end(time.Second)
		last := time.Duration(*hourDeliveries) * 40 * time.Millisecond
		for len(o.tokens) < 80 { // one now and then
			o.end(40 * time.Millisecond)
			time.Sleep((time.Hour - last) / 55)
		}
		o.end(time.Until(o.from.Add(time.Hour)))
		o.ends()
		from := o.to
		all := o.late(o.tokens, 6*time.Hour)
		o.report("away for an hour", all, time.Minute)
		if longest := all[len(all)-1]; longest > time.Minute {
			t.Errorf("the last went out %v after the return", longest)
		}
		o.report("others", o.late(o.others, time.Minute), 50*time.Millisecond)
		t.Logf("an hour and %v", time.Since(from))
	})
}

// A receiver takes half a second for each answer, and gets 600 events at once.
func TestReceiver_ThatIsSlowGetsWhatItsSlotsAllow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		o := newOutage(w, 500*time.Millisecond)
		const events = 600
		for range events {
			o.started++
			o.tokens = append(o.tokens, o.one("away", awayCallback))
		}
		var ends time.Time
		begins := time.Now()
		for range 25 {
			o.started++
			o.others = append(o.others, o.one("other", otherCallback))
			time.Sleep(200 * time.Millisecond)
		}
		o.await("all deliveries", time.Hour, func() bool {
			at := o.delivered()
			for _, token := range o.tokens {
				if at[token].IsZero() {
					return false
				}
			}
			return true
		})
		for _, token := range o.tokens {
			posts := w.receiver.of(token)
			if p := posts[len(posts)-1]; p.end.After(ends) {
				ends = p.end
			}
			if posts[0].begun.Before(begins) {
				begins = posts[0].begun
			}
		}
		slots := 64 / 2 // of DeliveryConcurrency
		ideal := time.Duration((events+slots-1)/slots) * 500 * time.Millisecond
		t.Logf("%d events of 500 ms through %d slots took %v, their slots allow %v (%+.0f %%)", events, slots, ends.Sub(begins), ideal, 100*(float64(ends.Sub(begins))/float64(ideal)-1))
		if ends.Sub(begins) > ideal*11/10 {
			t.Error("that is more than a tenth over")
		}
		o.report("others", o.late(o.others, time.Minute), 50*time.Millisecond)
	})
}

// commandCount counts what a worker asks of Redis, by command.
type commandCount struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *commandCount) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *commandCount) count(cmd redis.Cmder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[cmd.Name()]++
	c.n["all"]++
}

func (c *commandCount) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.count(cmd); return next(ctx, cmd) }
}

func (c *commandCount) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.count(cmd)
		}
		return next(ctx, cmds)
	}
}

// A session that meets no trouble costs no more commands than it did.
func TestReceiver_HappyPathCommands(t *testing.T) {
	inWorld(t, func(w *world) {
		c := new(commandCount)
		w.start(func(o *Options) { o.Redis.(*redis.Client).AddHook(c) })
		total := func() int { c.mu.Lock(); defer c.mu.Unlock(); return c.n["all"] }
		time.Sleep(5 * time.Second)
		idle := total()
		time.Sleep(40 * time.Second)
		idle = total() - idle
		before := total()
		const sessions = 400
		for i := range sessions {
			w.session(fmt.Sprint("s", i), confirming(2*time.Second))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(40*time.Second - sessions*50*time.Millisecond)
		for i := range sessions {
			if w.seen(fmt.Sprint("s", i)).RemovedAt.IsZero() {
				t.Fatalf("s%d is not removed", i)
			}
		}
		t.Logf("%.2f commands for each session beyond the %d of an idle worker in 40 s", float64(total()-before-idle)/sessions, idle)
	})
}
