//go:build unix

package e2e

import (
	"net/http"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// A post is under way while its worker cannot reach Redis, until the session's
// lease is over and another has it. The other waits for the claim, and by then the
// first has noted its 2xx.
func TestTrap_APostOutlivesTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver.script = func(webhook.Event, []byte, int) answer { return answer{after: 15 * time.Second} }
	settings := []string{"LEASE=3s", "DELIVERY_TIMEOUT=25s"}
	a := w.prepare(settings...)
	toA := newWay(t, "A to Redis", w.redis.Addr)
	a.cmd.Env = append(a.cmd.Env, "REDIS_URL=redis://"+toA.addr()+"/0")
	a.start()
	a.awaitReady()
	all := w.begin("outlives", 10, confirms(time.Second, time.Second))
	w.enqueue(all)
	eventually(t, time.Minute, "A posts them all", func() bool { return w.receiver.underWay(a.name) == len(all) })
	b := w.serve(settings...)
	open := toA.close()
	w.awaitHeld(all, b, time.Minute) // their leases are over
	if n := w.receiver.underWay(a.name); n != len(all) {
		t.Fatalf("only %d posts are still under way, so the test shows nothing", n)
	}
	open()
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
}

// A worker is suspended with the final answers of MarkSign on their way to it. It
// wakes up when another has told the stories and removed the sessions, and tells
// none.
func TestTrap_ASleeperWakesUpWhenAllIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := make(chan struct{})
	var holding atomic.Bool
	var held atomic.Int32
	w.calls.hold = func(by, _ string, _ bool) <-chan struct{} {
		if by != "A" || !holding.Load() {
			return nil
		}
		held.Add(1)
		return late
	}
	a := w.serve("LEASE=3s")
	all := w.begin("sleeper", 20, waits())
	w.enqueue(all)
	eventually(t, time.Minute, "A polls them", func() bool { return w.calls.polls("A", all[0]) > 0 })
	holding.Store(true)
	eventually(t, time.Minute, "polls of A's are on their way", func() bool { return held.Load() >= 10 })
	_ = a.cmd.Process.Signal(syscall.SIGSTOP)
	for _, token := range all {
		w.sim.Confirm(token)
	}
	holding.Store(false)
	close(late) // the answers are in A's sockets from now on
	w.serve("LEASE=3s")
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	posts := w.receiver.posts()

	_ = a.cmd.Process.Signal(syscall.SIGCONT)
	pass(6 * time.Second) // two leases
	w.awaitQuiet(time.Minute)
	if n := w.receiver.posts(); posts != len(all) || n != posts {
		t.Errorf("%d posts of %d sessions, and %d more by the sleeper", posts, len(all), n-posts)
	}
	w.check(all, nil)
	a.terminate()
	if code := a.awaitExit(35 * time.Second); code != 0 {
		t.Errorf("the sleeper stopped with exit code %d", code)
	}
}

// asynq's lease of a running task vanishes just before its run ends. asynq's own
// script then takes the task out of its active ones, and puts it nowhere
// (hibiken/asynq#1144). It has to be found again within seconds, not by the hour.
func TestTrap_ATaskWhoseLeaseVanishesAsItsRunEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vanish := func(token string) {
		for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
			w.rdb.ZRem(w.ctx, "asynq:{"+queue+"}:lease", "default:"+token)
		}
	}
	w.receiver.script = func(e webhook.Event, _ []byte, nth int) answer {
		vanish(e.Data.Token)
		return answer{status: map[bool]int{true: http.StatusInternalServerError, false: 0}[nth < 3]}
	}
	w.serve("LEASE=3s", "DELIVERY_TIMEOUT=2s")
	all := w.begin("vanishing", 5, confirms(time.Second, time.Second))
	w.enqueue(all)
	delivered := func() bool {
		_, _ = w.tasks.RunAllRetryTasks(queue.Deliver) // the second pause is 30 s
		return !slices.ContainsFunc(all, func(token string) bool {
			return outcome.State(w.rdb.HGet(w.ctx, recordKey(token), "state").Val()) != outcome.Delivered
		})
	}
	if !happens(time.Minute, delivered) {
		for _, token := range all {
			state := w.rdb.HGet(w.ctx, "asynq:{"+queue.Deliver+"}:t:default:"+token, "state").Val()
			info := w.task(queue.Deliver, token)
			t.Errorf("%s is not delivered; its task says %q, and asynq finds it: %v\n%s", token, state, info != nil, tellPosts(w.story(token)))
		}
	}
}

// An operator runs session:remove as soon as it is there. The DELETE waits all the
// same until a Redis that loses its last second would still have the note.
func TestTrap_ARemovalThatIsRunEarlyWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receiver.script = func(_ webhook.Event, _ []byte, nth int) answer {
		return answer{status: map[bool]int{true: http.StatusInternalServerError, false: 0}[nth == 1]}
	}
	w.serve()
	all := w.begin("early-removal", 3, confirms(time.Second, time.Second))
	w.enqueue(all)
	stop := repeat(50*ms, func() {
		_, _ = w.tasks.RunAllScheduledTasks(queue.Remove)
		_, _ = w.tasks.RunAllRetryTasks(queue.Remove)
	})
	defer stop()
	w.awaitRemoved(all, time.Minute)
	for _, token := range all {
		s := w.story(token)
		if after := s.at.RemovedAt.Sub(s.posts[len(s.posts)-1].ended); after < removalPause {
			t.Errorf("%s is removed %v after its 2xx, want %v", token, after, removalPause)
		}
	}
}

// kindOf is a kind of fault, for plans that are made by hand.
func kindOf(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	panic("no fault is named " + name)
}

// handMade is a plan of sessions that start over ten seconds.
func handMade(seed uint64, redis shape, clocks ...time.Duration) plan {
	p := plan{seed: seed, redis: redis, clocks: clocks, releases: sameSettings(usualSettings())}
	for i := range 40 {
		person := marked(marksim.Confirms, time.Duration(i%7)*time.Second)
		p.visits = append(p.visits, visit{
			token: tokenOf(seed, i), reference: "by-hand", method: marksim.SmartID, person: person,
			enqueue: time.Duration(i) * 250 * ms, checks: []tasks.Check{tasks.PEPs, tasks.Sanctions},
		})
	}
	return p
}

// A failover loses nothing that the old primary and the replica had confirmed.
func TestTrap_AFailoverLosesNothingThatWaitConfirmed(t *testing.T) {
	t.Parallel()
	p := handMade(1, sentinel, 0, 0)
	p.faults = []planned{{kind: kindOf("failover"), on: []string{"Redis"}, at: 4 * time.Second, lasts: 6 * time.Second}}
	runSchedule(t, p, newTally())
}

// Clocks that are six seconds apart, twice a lease, make workers take sessions
// from each other all the time. Nothing is lost and nothing told twice by that.
func TestTrap_ClocksApartLoseNothing(t *testing.T) {
	t.Parallel()
	p := handMade(2, always, -3*time.Second, 3*time.Second)
	total := newTally()
	runSchedule(t, p, total)
	for what, n := range total.explained {
		t.Errorf("%d times: %s, though nothing happened", n, what)
	}
}
