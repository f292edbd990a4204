package hosts

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// A person waits for a first post; beside it wait the events of an hour.
func TestHosts_AFirstPostDoesNotWaitForABacklog(t *testing.T) {
	inRoom(t, Options{PerHost: 2}, func(r *room) {
		r.takes = 500 * time.Millisecond
		for _, id := range ids("old", 500) {
			e := r.event(id, "a", Repeated)
			e.Since = e.Since.Add(-time.Hour)
			r.offer(e)
		}
		time.Sleep(10 * time.Second)
		begun := time.Now()
		for _, id := range ids("new", 4) {
			r.offer(r.event(id, "a", First))
		}
		time.Sleep(time.Minute)
		for _, id := range ids("new", 4) {
			if posts := r.posts(id); len(posts) != 1 || posts[0].Sub(begun) > 2*time.Second {
				t.Errorf("%s was posted at %v, offered at %v", id, posts, begun)
			}
		}
		order := r.order()
		if old := order[len(order)-1]; old[:3] != "old" { // they have their share too
			t.Errorf("the last post is %s", old)
		}
	})
}

// The one that the receiver asked to wait is due first, and must not be posted.
func TestHosts_AnAskedPauseKeepsNobodyElseFromProbing(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		r.answer = func(string) Word { return Down }
		begun := time.Now()
		r.Wait(r.event("asked", "a", Repeated), Pause{Due: begun.Add(time.Minute), NotBefore: begun.Add(time.Minute), Ends: begun.Add(time.Hour)})
		r.Wait(r.event("sleeps", "a", Repeated), Pause{Due: begun.Add(2 * time.Minute), Ends: begun.Add(time.Hour)})
		time.Sleep(10 * time.Second)
		r.fail("a", openFailures)
		time.Sleep(5 * time.Second)
		if posts := r.posts("sleeps"); len(posts) != 1 {
			t.Errorf("it probed at %v, since %v", posts, begun)
		}
		if posts := r.posts("asked"); len(posts) != 0 {
			t.Errorf("it was posted at %v, since %v", posts, begun)
		}
	})
}

// A post that began before the receiver went away is answered after its circuit opened.
func TestHosts_AnAnswerOfBeforeTheOutageClosesNoCircuit(t *testing.T) {
	inRoom(t, Options{PerHost: 20}, func(r *room) {
		p, _ := r.Acquire(Event{ID: "slow", Host: "a", Since: time.Now(), Kind: Repeated})
		time.Sleep(time.Second)
		r.fail("a", openFailures)
		p.Report(Well)
		p.Release()
		if s := r.States(); s[Open] != 1 {
			t.Errorf("the circuits are %v", s)
		}
	})
}

// One account's hosts are all dead, and its events fill the lists.
func TestHosts_LeaveOtherAccountsTheirShareOfTheList(t *testing.T) {
	inRoom(t, Options{PerHost: 1, MaxWaiting: 400, Accounts: 3}, func(r *room) {
		listed := map[string]int{}
		for _, account := range []string{"first", "second", "third"} {
			for i := range 400 {
				host := fmt.Sprint(account, " host", i%3)
				if i < 3 {
					r.fail(host, openFailures)
				}
				e := r.event(fmt.Sprint(account, i), host, Repeated)
				e.Account = account
				if r.Wait(e, Pause{Ends: time.Now().Add(time.Hour)}) == Listed {
					listed[account]++
				}
			}
		}
		for account, least := range map[string]int{"first": 200, "second": 100, "third": 50} {
			if listed[account] < least {
				t.Errorf("%s has %d events in the list, want %d", account, listed[account], least)
			}
		}
		r.Close()
		if n := r.room.Take("first"); !n {
			t.Error("the places of a closed list are not given back")
		}
	})
}

// A full list is swept once a second and not at each event that finds no room.
func TestHosts_SweepAFullListSeldom(t *testing.T) {
	inRoom(t, Options{PerHost: 1, MaxPerHost: 300}, func(r *room) {
		r.fail("a", openFailures)
		swept := map[time.Time]bool{}
		for i, id := range ids("e", 1300) {
			if i >= 300 {
				time.Sleep(time.Millisecond)
			}
			r.Wait(r.event(id, "a", Repeated), Pause{Ends: time.Now().Add(time.Hour)})
			r.Hosts.mu.Lock()
			swept[r.byName["a"].swept] = true
			r.Hosts.mu.Unlock()
		}
		if n := len(swept); n > 4 {
			t.Errorf("swept %d times in a second", n)
		}
	})
}

// An event that sleeps and whose host comes back is posted soon, but not at once: that
// is a twentieth of its pause.
func TestHosts_ASleeperSleepsATwentiethInAnyCase(t *testing.T) {
	inRoom(t, Options{PerHost: 100}, func(r *room) {
		begun := time.Now()
		r.Wait(r.event("a", "a", Repeated), Pause{Due: begun.Add(100 * time.Second), Ends: begun.Add(time.Hour)})
		r.fail("a", backFailures)
		p, _ := r.Acquire(Event{ID: "well", Host: "a", Since: begun, Kind: First})
		p.Report(Well)
		p.Release()
		time.Sleep(2 * time.Minute)
		if posts := r.posts("a"); len(posts) != 1 || posts[0].Sub(begun) != 5*time.Second {
			t.Errorf("posted at %v, since %v", posts, begun)
		}
	})
}

// While the circuit is open an event that the receiver asked to wait sleeps no longer
// than it was asked to, whatever its own pause is.
func TestHosts_AnAskedPauseIsNoLongerThanAskedWhileTheCircuitIsOpen(t *testing.T) {
	inRoom(t, Options{PerHost: 100}, func(r *room) {
		r.answer = func(string) Word { return Down }
		r.fail("a", openFailures)
		begun := time.Now()
		r.Wait(r.event("a", "a", Repeated), Pause{Due: begun.Add(time.Hour), NotBefore: begun.Add(3 * time.Second), Ends: begun.Add(2 * time.Hour)})
		time.Sleep(10 * time.Second)
		if posts := r.posts("a"); len(posts) != 1 || posts[0].Sub(begun) != 3*time.Second {
			t.Errorf("posted at %v, since %v", posts, begun)
		}
	})
}

// The ramp frees a slot just as somebody new comes: who waits goes first.
func TestHosts_ANewcomerDoesNotOvertakeWhoWaitsForASlotInAll(t *testing.T) {
	inRoom(t, Options{PerHost: 2, Total: 1}, func(r *room) {
		r.offer(r.event("b", "b", First))
		r.offer(r.event("waits", "a", First))
		if refused := r.offer(r.event("newcomer", "a", First)); refused == Granted {
			t.Error("a newcomer was granted a post")
		}
		time.Sleep(time.Second)
		if got, want := r.order(), []string{"b", "waits", "newcomer"}; !slices.Equal(got, want) {
			t.Errorf("the order is %v, want %v", got, want)
		}
	})
}

// slow sets how long the posts take that begin from now on.
func (r *room) slow(takes time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takes = takes
}

// A host whose circuit is open has nobody to probe it but one that sleeps, and no slot
// is free: it is looked at when one is, and not all the time.
func TestHosts_ASleeperThatFindsNoSlotProbesWhenOneIsFree(t *testing.T) {
	inRoom(t, Options{PerHost: 1, Total: 1}, func(r *room) {
		begun := time.Now()
		r.Wait(r.event("sleeps", "a", Repeated), Pause{Due: begun.Add(time.Hour), Ends: begun.Add(2 * time.Hour)})
		r.fail("a", openFailures)
		time.Sleep(4 * time.Minute) // a twentieth of its pause is over then
		r.slow(10 * time.Second)
		r.offer(r.event("slow", "b", Repeated))
		time.Sleep(time.Minute)
		r.slow(20 * time.Millisecond)
		time.Sleep(time.Minute)
		if posts := r.posts("sleeps"); len(posts) == 0 {
			t.Error("it never probed")
		}
	})
}

// Most of the events that wait were posted by another process meanwhile: they cost no
// second each before one tries whether the host is back.
func TestHosts_EventsThatNeedNoPostHoldUpNoProbe(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		r.fail("a", openFailures)
		var passed atomic.Int64
		for _, id := range ids("done", 50) {
			e := r.event(id, "a", Repeated)
			e.Post = func(p *Permit) {
				passed.Add(1)
				p.Pass()
				p.Release()
			}
			r.Wait(e, Pause{Ends: time.Now().Add(time.Hour)})
		}
		r.Wait(r.event("last", "a", Repeated), Pause{Ends: time.Now().Add(time.Hour)})
		time.Sleep(2 * time.Second)
		if passed.Load() != 50 || len(r.posts("last")) != 1 {
			t.Errorf("%d passed, and the last was posted at %v", passed.Load(), r.posts("last"))
		}
	})
}
