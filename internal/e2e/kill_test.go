package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/webhook"
)

const (
	lease       = 10 * time.Second // LEASE, where a test does not set it
	pace        = time.Second      // the first of POLL_PACE, where a test does not set it
	jitter      = pace / 10
	claimMargin = 2 * time.Second // what a claim outlives DELIVERY_TIMEOUT by
	// noteTime is what the note of a 2xx, or of a removal, may take on a busy
	// machine: what a process died before may be lost.
	noteTime = time.Second
	// slack is what a busy machine may add to a promise about seconds.
	slack = 500 * time.Millisecond
)

func TestServe_KillNineLosesNothing(t *testing.T) {
	heavy(t)
	for name, deliveryTimeout := range map[string]time.Duration{
		// A claim then ends before the lease does, so posts that were under way are
		// repeated within a lease and two seconds too.
		"short claims": 5 * time.Second,
		// With the default a claim outlives the lease: the session is taken over in
		// time, but nobody may post before the claim of the dead one is over.
		"default": 15 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killNine(t, deliveryTimeout)
		})
	}
}

func killNine(t *testing.T, deliveryTimeout time.Duration) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.receiver.script = slowly(dice)
	way := newProxy(t, w.redis.Addr)
	timeout := "DELIVERY_TIMEOUT=" + deliveryTimeout.String()
	a := w.serve(timeout, "REDIS_URL="+way.url())
	b := w.serve(timeout, "REDIS_URL="+newProxy(t, w.redis.Addr).url()) // as far away, for an equal share

	all := w.begin("early", 180, confirms(time.Second, 9*time.Second))
	w.enqueue(all)
	pass(2*time.Second + time.Duration(dice.Int64N(int64(4*time.Second))))
	late, active := w.killAmidst(a, way, &all)
	t.Logf("killed with %d posts under way and the tasks of %d sessions active, beside %d others just enqueued",
		a.postsAtKill, len(active), len(late))

	noise := b.measureNoise()
	w.awaitRemoved(all, time.Minute)
	machine := noise()
	machine.log(t, "probes of the other process, of Redis and of the test meanwhile")
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(all, a.explains)
	// Between a lease's end and the next poll lie about ten steps as long as a probe.
	w.checkTakeover(a, all, active, deliveryTimeout, slack+10*machine.quantile(0.99))
}

// slowly answers after 100 to 300 ms, and one event in ten at first with 503.
func slowly(dice *rand.Rand) func(webhook.Event, []byte, int) answer {
	return func(_ webhook.Event, _ []byte, nth int) answer {
		a := answer{after: 100*time.Millisecond + time.Duration(dice.Int64N(int64(200*time.Millisecond)))}
		if nth == 1 && dice.IntN(10) == 0 {
			a.status = 503
		}
		return a
	}
}

// killAmidst kills the process at a moment when it has posts under way and runs
// tasks, for which it enqueues sessions, ten at a time.
func (w *world) killAmidst(p *process, way *proxy, all *[]string) (late, active []string) {
	w.t.Helper()
	for try := range 30 {
		ten := w.begin(fmt.Sprintf("late-%02d", try), 10, confirms(time.Second, 9*time.Second))
		*all, late = append(*all, ten...), append(late, ten...)
		w.enqueueHere(ten...)
		if !happens(time.Second, func() bool { return len(w.active()) > 0 }) {
			continue
		}
		way.freeze()
		// What runs on without its Redis is the process's own; the other's runs end.
		first := w.active()
		pass(50 * time.Millisecond)
		second := w.active()
		active = slices.DeleteFunc(first, func(token string) bool {
			at, _ := w.sim.Session(token)
			return !slices.Contains(second, token) || !at.RemovedAt.IsZero() // there the run only ends the task
		})
		if len(active) > 0 && w.receiver.underWay(p.name) > 0 {
			p.postsAtKill, p.killedAt = w.receiver.underWay(p.name), time.Now()
			p.kill()
			way.sever()
			way.thaw()
			return late, active
		}
		way.thaw()
		pass(300 * time.Millisecond) // for it to catch up
	}
	w.t.Fatal("no moment was found at which the process both ran tasks and posted")
	return nil, nil
}

// active are the tokens of the follow tasks that run.
func (w *world) active() []string {
	w.t.Helper()
	infos, err := w.tasks.ListActiveTasks(queue.Follow)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, info := range infos {
		list = append(list, info.ID[len("default:"):])
	}
	return list
}

// explains reports whether the process's death explains a fault: it died between
// a receiver's 2xx and noting it, or between a DELETE and noting that.
func (p *process) explains(s story, f fault) bool {
	lastWords := p.killedAt.Add(-noteTime)
	switch f {
	case deliveredMore:
		acks := slices.DeleteFunc(slices.Clone(s.posts), func(q post) bool { return !q.acknowledged() })
		explained := len(acks) == 2 && acks[0].by == p.name && acks[0].ended.After(lastWords)
		if explained {
			p.t.Logf("%s was posted twice: the process died %v after the 2xx", s.token, p.killedAt.Sub(acks[0].ended))
		}
		return explained
	case removedMore:
		removals := slices.DeleteFunc(slices.Clone(s.calls), func(c call) bool { return !c.removal })
		return removals[0].by == p.name && removals[0].at.After(lastWords)
	}
	return false
}

// touch is when somebody first polled, posted or removed a session after a
// moment; zero where nobody did.
func (s story) touch(after time.Time) time.Time {
	var first time.Time
	consider := func(at time.Time) {
		if at.After(after) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, c := range s.calls {
		consider(c.at)
	}
	for _, p := range s.posts {
		consider(p.begun)
	}
	return first
}

// posting reports whether the process may have held the claim of a post when it
// died: a post of it was under way, or it had just seen the final answer.
func (s story) posting(p *process) bool {
	for _, q := range s.posts {
		if q.by == p.name && q.ended.After(p.killedAt.Add(-noteTime)) {
			return true
		}
	}
	seen := s.at.FinalSeenAt
	return !seen.IsZero() && seen.Before(p.killedAt) && seen.After(p.killedAt.Add(-noteTime)) && s.holder(p.killedAt) == p.name
}

// holder is who touched the session last before the process died; "" is nobody.
func (s story) holder(died time.Time) string {
	by, last := "", time.Time{}
	consider := func(who string, at time.Time) {
		if at.Before(died) && at.After(last) {
			by, last = who, at
		}
	}
	for _, c := range s.calls {
		consider(c.by, c.at)
	}
	for _, q := range s.posts {
		consider(q.by, q.begun)
	}
	return by
}

// checkTakeover holds what the dead process had against the promise that another
// takes it up within a lease and two seconds more.
//
// What it may have been posting is posted again when its claim is over, for
// until then a receiver may be reading: DELIVERY_TIMEOUT and two seconds after
// the claim, or where that is later, a lease and two seconds after the death. The
// task webhook:deliver that comes too early waits for what is left of the claim
// and a second more.
func (w *world) checkTakeover(p *process, all, active []string, deliveryTimeout, slack time.Duration) {
	w.t.Helper()
	var waiting, running, posting distribution
	for _, token := range all {
		s := w.story(token)
		if removed := s.at.RemovedAt; !removed.IsZero() && removed.Before(p.killedAt) {
			continue
		}
		holder := s.holder(p.killedAt)
		if holder != "" && holder != p.name && !slices.Contains(active, token) {
			continue // it was in other hands already
		}
		took := s.touch(p.killedAt.Add(time.Millisecond)).Sub(p.killedAt)
		most := lease + 2*time.Second + slack
		switch {
		case slices.Contains(active, token):
			running = append(running, took)
		case s.posting(p):
			posting = append(posting, took)
			most = max(most, deliveryTimeout+claimMargin+2*time.Second+slack)
		case holder == p.name:
			waiting = append(waiting, took)
		}
		if took < 0 || took > most {
			w.t.Errorf("%s was touched %v after the death, want within %v\n%+v\n%s%s", token, took, most, s.at, tellPosts(s), tellCalls(s))
		}
	}
	waiting.log(w.t, "from the death to the next poll of sessions that were followed")
	running.log(w.t, "from the death to the first poll of sessions whose task was active")
	posting.log(w.t, "from the death to the next post, or removal, of what was being posted")
	if len(waiting) == 0 || len(running) == 0 || len(posting) == 0 {
		w.t.Error("the process held nothing of one kind when it died, so the test shows nothing")
	}
}
