package hosts

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// room is Hosts with posts that a test answers, in virtual time.
type room struct {
	*Hosts
	t      *testing.T
	limit  int
	takes  time.Duration
	answer func(id string) Word  // nil: Well
	again  func(id string) Pause // after a post that is Down; nil: it leaves

	mu       sync.Mutex
	begun    []string // IDs, in the order of their posts
	at       map[string][]time.Time
	now, top int // posts under way, and the most of them
}

func inRoom(t *testing.T, opts Options, test func(r *room)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts.Log = slog.New(slog.DiscardHandler)
		if opts.Total == 0 {
			opts.Total = 1000
		}
		r := &room{Hosts: New(opts), t: t, limit: opts.PerHost, takes: 20 * time.Millisecond, at: make(map[string][]time.Time)}
		test(r)
		r.Close()
		r.Drain()
		time.Sleep(time.Minute) // until the posts have ended that no list gave
	})
}

// event is one whose Post takes its time, and waits again if it fails.
func (r *room) event(id, host string, kind Kind) Event {
	e := Event{ID: id, Host: host, Since: time.Now(), Kind: kind}
	e.Post = func(p *Permit) { r.post(e, p) }
	return e
}

func (r *room) post(e Event, p *Permit) {
	r.mu.Lock()
	r.begun = append(r.begun, e.ID)
	r.at[e.ID] = append(r.at[e.ID], time.Now())
	r.now++
	r.top = max(r.top, r.now)
	answer, takes := r.answer, r.takes
	r.mu.Unlock()
	time.Sleep(takes)
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
	word := Well
	if answer != nil {
		word = answer(e.ID)
	}
	p.Report(word)
	p.Release()
	if word == Down && r.again != nil {
		r.Wait(e, r.again(e.ID))
	}
}

// offer posts an event at once or has it wait, as a first post does.
func (r *room) offer(e Event) Refusal {
	p, refused := r.Acquire(e)
	if refused == Granted {
		go e.Post(p)
		return Granted
	}
	r.Wait(e, Pause{Ends: time.Now().Add(time.Hour)})
	return refused
}

func (r *room) posts(id string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at[id])
}

func (r *room) order() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.begun)
}

// fail has the host fail so often, in posts of their own.
func (r *room) fail(host string, times int) {
	r.t.Helper()
	for i := range times {
		p, refused := r.Acquire(Event{ID: fmt.Sprint("failing", i), Host: host, Since: time.Now(), Kind: Repeated})
		if refused != Granted {
			r.t.Fatalf("failure %d: %v", i, refused)
		}
		p.Report(Down)
		p.Release()
	}
}

func ids(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%03d", prefix, i))
	}
	return list
}

func TestHosts_BoundEachHostAlone(t *testing.T) {
	inRoom(t, Options{PerHost: 2}, func(r *room) {
		for _, host := range []string{"a", "b"} {
			for i := range 5 {
				want := HostBusy
				if i < 2 {
					want = Granted
				}
				if got := r.offer(r.event(fmt.Sprint(host, i), host, First)); got != want {
					t.Errorf("%s%d: %v, want %v", host, i, got, want)
				}
			}
		}
		time.Sleep(time.Second)
		if n := len(r.order()); n != 10 || r.Waiting() != 0 {
			t.Errorf("%d posts, %d wait", n, r.Waiting())
		}
	})
}

func TestHosts_GiveAFreeSlotToTheOldestAndNotToANewcomer(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		r.offer(r.event("first", "a", Repeated))
		older, younger := r.event("older", "a", Repeated), r.event("younger", "a", Repeated)
		older.Since = older.Since.Add(-time.Minute)
		younger.Since = younger.Since.Add(time.Second)
		r.offer(younger)
		r.offer(older)
		time.Sleep(10 * time.Millisecond)
		if refused := r.offer(r.event("newcomer", "a", Repeated)); refused != HostBusy {
			t.Errorf("a newcomer: %v", refused)
		}
		time.Sleep(time.Second)
		if got, want := r.order(), []string{"first", "older", "newcomer", "younger"}; !slices.Equal(got, want) {
			t.Errorf("the order is %v, want %v", got, want)
		}
	})
}

func TestHosts_UseEverySlotAllTheTime(t *testing.T) {
	inRoom(t, Options{PerHost: 32}, func(r *room) {
		r.takes = 500 * time.Millisecond
		begun := time.Now()
		for _, id := range ids("e", 600) {
			r.offer(r.event(id, "a", First))
		}
		for r.Waiting() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(r.takes)
		if took := time.Since(begun); took > 9600*time.Millisecond {
			t.Errorf("600 posts of 500 ms through 32 slots took %v", took)
		}
	})
}

func TestHosts_OpenTheCircuitAndProbeOneAtATime(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		r.fail("a", openFailures)
		begun := time.Now()
		r.answer = func(id string) Word {
			if id == "other" {
				return Well
			}
			return Down
		}
		r.again = func(string) Pause { return Pause{Due: time.Now().Add(time.Second), Ends: time.Now().Add(time.Hour)} }
		var events []Event
		for _, id := range ids("e", 5) {
			e := r.event(id, "a", Repeated)
			events = append(events, e)
			if refused := r.offer(e); refused != CircuitOpen {
				t.Fatalf("%s: %v", id, refused)
			}
		}
		if refused := r.offer(r.event("other", "b", Repeated)); refused != Granted {
			t.Errorf("another host: %v", refused)
		}
		time.Sleep(4900 * time.Millisecond)
		if got, want := r.order(), []string{"other", "e000", "e001", "e002", "e003"}; !slices.Equal(got, want) {
			t.Errorf("the probes are %v, want %v: each the oldest of those that were not tried", got, want)
		}
		r.Wait(events[1], Pause{Ends: time.Now().Add(time.Hour)}) // its task was due
		time.Sleep(2 * time.Second)
		if got := r.order()[5]; got != "e004" {
			t.Errorf("the next probe is %s", got)
		}
		if first := r.posts("e000")[0].Sub(begun); first != leastProbeGap {
			t.Errorf("the first probe came after %v", first)
		}
		time.Sleep(10 * time.Minute)
		before := len(r.order())
		time.Sleep(10 * time.Minute)
		if probes := len(r.order()) - before; probes < 38 || probes > 40 {
			t.Errorf("%d probes in ten minutes, after ten", probes)
		}
		if r.top != 1 {
			t.Errorf("%d posts at once", r.top)
		}
	})
}

func TestProbeGap_IsSmallBesideTheOutage(t *testing.T) {
	t.Parallel()
	for failing, want := range map[time.Duration]time.Duration{
		0: time.Second, 3 * time.Second: time.Second, 6 * time.Second: 2 * time.Second, 30 * time.Second: 2 * time.Second,
		time.Minute: 3 * time.Second, 5 * time.Minute: 15 * time.Second, 72 * time.Hour: 15 * time.Second,
	} {
		if got := probeGap(failing); got != want {
			t.Errorf("after %v the gap is %v, want %v", failing, got, want)
		}
	}
}

func TestHosts_SetAllFreeWhenAHostIsBack(t *testing.T) {
	inRoom(t, Options{PerHost: 32}, func(r *room) {
		r.fail("a", openFailures)
		for _, id := range ids("waits", 300) {
			r.offer(r.event(id, "a", Repeated))
			time.Sleep(time.Millisecond)
		}
		for _, id := range ids("sleeps", 300) {
			r.Wait(r.event(id, "a", Repeated), Pause{Due: time.Now().Add(time.Hour), Ends: time.Now().Add(2 * time.Hour)})
		}
		var counts []int
		time.Sleep(700*time.Millisecond + time.Millisecond) // the probe goes out, one second after the circuit opened
		for range 9 {
			time.Sleep(rampStep)
			r.mu.Lock()
			counts = append(counts, r.top)
			r.mu.Unlock()
		}
		if n := len(r.order()); n != 600 {
			t.Errorf("%d of 600 went out", n)
		}
		for rank, id := range ids("waits", 300) { // those that go together begin in no order
			if i := slices.Index(r.order(), id); i < rank-64 || i > rank+64 {
				t.Errorf("%s was the %dth post: the oldest did not go first", id, i)
			}
		}
		if counts[0] > 2 || counts[2] > 8 || counts[8] != 32 {
			t.Errorf("the posts under way at most, by steps of the ramp: %v", counts)
		}
	})
}

func TestHosts_OpenAgainSoonerWhileAHostRampsUp(t *testing.T) {
	inRoom(t, Options{PerHost: 32}, func(r *room) {
		r.fail("a", openFailures)
		r.answer = func(id string) Word {
			if id == "e000" {
				return Well
			}
			return Down
		}
		for _, id := range ids("e", 100) {
			r.offer(r.event(id, "a", Repeated))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(1500 * time.Millisecond)
		if n := len(r.order()); n > 1+2*rampFailures || r.States()[Open] != 1 {
			t.Errorf("%d posts to a host that answers one; the circuit is %v", n, r.States())
		}
	})
}

// One event that the receiver refuses for what it is, while it takes all others.
func TestHosts_LetOneThatFailsForItselfKeepToItsSchedule(t *testing.T) {
	inRoom(t, Options{PerHost: 8}, func(r *room) {
		schedule := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}
		r.answer = func(id string) Word {
			if strings.HasPrefix(id, "poison") {
				return Down
			}
			return Well
		}
		r.again = func(id string) Pause {
			due := time.Now().Add(schedule[len(r.posts(id))-1])
			return Pause{Due: due, Ends: due.Add(time.Minute)}
		}
		r.offer(r.event("poison", "a", First))
		for i := range 60 {
			time.Sleep(time.Second)
			r.offer(r.event(fmt.Sprint("e", i), "a", First))
		}
		if n := len(r.posts("poison")); n != 4 { // at 0, 1, 6 and 36 s
			t.Errorf("%d posts in a minute", n)
		}
	})
}

// Enough of them look like a host that comes and goes. They are posted more often
// than by their schedule, but within bounds, and the others are delivered.
func TestHosts_BoundThePostsOfManyThatFailForThemselves(t *testing.T) {
	inRoom(t, Options{PerHost: 8}, func(r *room) {
		r.answer = func(id string) Word {
			if strings.HasPrefix(id, "poison") {
				return Down
			}
			return Well
		}
		r.again = func(string) Pause {
			due := time.Now().Add(time.Hour)
			return Pause{Due: due, Ends: due.Add(time.Minute)}
		}
		const poisons = 30
		for _, id := range ids("poison", poisons) {
			r.offer(r.event(id, "a", First))
		}
		const seconds = 1800
		for i := range seconds {
			time.Sleep(time.Second)
			r.offer(r.event(fmt.Sprint("e", i), "a", First))
		}
		time.Sleep(5 * time.Second)
		posts := 0
		for _, id := range ids("poison", poisons) {
			posts += len(r.posts(id))
		}
		if most := poisons * (1 + seconds/180) * 2; posts > most {
			t.Errorf("%d posts of %d events in %d s, want %d at most", posts, poisons, seconds, most)
		}
		late := 0
		for i := range seconds {
			if len(r.posts(fmt.Sprint("e", i))) == 0 {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d others did not go out", late)
		}
	})
}

// The circuit never opened, for too few events were posted.
func TestHosts_SetFreeWhatSleepsWhenAQuietHostIsBack(t *testing.T) {
	inRoom(t, Options{PerHost: 8}, func(r *room) {
		for _, id := range ids("e", backFailures) {
			p, _ := r.Acquire(r.event(id, "a", Repeated))
			p.Report(Down)
			p.Release()
			r.Wait(r.event(id, "a", Repeated), Pause{Due: time.Now().Add(2 * time.Hour), Ends: time.Now().Add(3 * time.Hour)})
		}
		asked := r.event("asked", "a", Repeated)
		r.Wait(asked, Pause{Due: time.Now().Add(time.Minute), NotBefore: time.Now().Add(time.Hour), Ends: time.Now().Add(2 * time.Hour)})
		time.Sleep(20 * time.Minute)
		if n := len(r.order()); n != 0 {
			t.Fatalf("%d posts before the host is back", n)
		}
		r.offer(r.event("new", "a", First))
		time.Sleep(2 * time.Second)
		if n := len(r.order()); n != 1+backFailures {
			t.Errorf("%d posts after the host is back: %v", n, r.order())
		}
		time.Sleep(time.Hour)
		if at := r.posts("asked"); len(at) != 1 || at[0].Sub(asked.Since) != time.Hour {
			t.Errorf("the event whose receiver asked for an hour was posted at %v", at)
		}
	})
}

func TestHosts_WakeASleeperWhenItIsDue(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		begun := time.Now()
		r.Wait(r.event("a", "a", Repeated), Pause{Due: begun.Add(time.Second), Ends: begun.Add(time.Minute)})
		time.Sleep(2 * time.Second)
		if at := r.posts("a"); len(at) != 1 || at[0].Sub(begun) != time.Second {
			t.Errorf("posted at %v", at)
		}
	})
}

func TestHosts_DropWhatHasEnded(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		r.takes = 10 * time.Second
		r.offer(r.event("first", "a", First))
		r.Wait(r.event("ends", "a", Repeated), Pause{Ends: time.Now().Add(5 * time.Second)})
		r.Wait(r.event("leaves", "a", Repeated), Pause{Ends: time.Now().Add(time.Hour)})
		r.Leave("leaves")
		time.Sleep(time.Minute)
		if got := r.order(); len(got) != 1 || r.Waiting() != 0 {
			t.Errorf("posts: %v, %d wait", got, r.Waiting())
		}
	})
}

func TestHosts_BoundTheList(t *testing.T) {
	inRoom(t, Options{PerHost: 1, MaxWaiting: 700, MaxPerHost: 500}, func(r *room) {
		r.fail("a", openFailures)
		taken := 0
		for _, id := range ids("e", 600) {
			if r.Wait(r.event(id, "a", Repeated), Pause{Ends: time.Now().Add(500 * time.Millisecond)}) == Listed {
				taken++
			}
		}
		if taken != 500 {
			t.Errorf("%d of 600 are in the list of one host", taken)
		}
		r.fail("b", openFailures)
		for _, id := range ids("f", 300) {
			if r.Wait(r.event(id, "b", Repeated), Pause{Ends: time.Now().Add(time.Hour)}) == Listed {
				taken++
			}
		}
		if taken != 700 || r.Waiting() != 700 {
			t.Errorf("%d are in the lists", r.Waiting())
		}
		time.Sleep(1100 * time.Millisecond) // a full list is swept once a second
		if r.Wait(r.event("late", "a", Repeated), Pause{Ends: time.Now().Add(time.Hour)}) != Listed || r.Waiting() > 201 {
			t.Errorf("what has ended still takes its place: %d", r.Waiting())
		}
	})
}

// Two hosts are slow and many events wait for both; a third gets its share of what
// becomes free, and first posts do not wait for repeated ones.
func TestHosts_ShareTheSlotsOut(t *testing.T) {
	inRoom(t, Options{PerHost: 8, Total: 16}, func(r *room) {
		r.takes = time.Second
		for _, host := range []string{"a", "b"} {
			for _, id := range ids(host, 200) {
				r.offer(r.event(id, host, Repeated))
			}
		}
		if refused := r.offer(r.event("c", "c", Repeated)); refused != NoSlot {
			t.Errorf("another host: %v", refused)
		}
		if refused := r.offer(r.event("new", "c", First)); refused != Granted {
			t.Errorf("a first post: %v", refused)
		}
		time.Sleep(1100 * time.Millisecond)
		if len(r.posts("c")) != 1 {
			t.Error("another host waits although slots became free")
		}
		time.Sleep(30 * time.Second)
		if n := len(r.order()); n != 402 {
			t.Errorf("%d of 402 went out", n)
		}
	})
}

func TestHosts_PostNoEventTwiceAtOnce(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		e := r.event("a", "a", Repeated)
		r.offer(e)
		if _, refused := r.Acquire(e); refused != UnderWay {
			t.Errorf("%v", refused)
		}
		r.Wait(e, Pause{Ends: time.Now().Add(time.Hour)})
		time.Sleep(time.Second)
		if n := len(r.posts("a")); n != 1 || r.top != 1 {
			t.Errorf("%d posts", n)
		}
	})
}

// It may be trouble of our own: the next one waits, or thousands would be tried at once.
func TestHosts_AProbeThatToldNothingLetsAnotherTry(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		r.fail("a", openFailures)
		r.answer = func(id string) Word {
			if id == "e000" {
				return Nothing
			}
			return Well
		}
		for _, id := range ids("e", 3) {
			r.offer(r.event(id, "a", Repeated))
		}
		time.Sleep(leastProbeGap + 10*r.takes)
		if n := len(r.order()); n != 1 {
			t.Errorf("%d posts within a gap", n)
		}
		time.Sleep(leastProbeGap + 10*r.takes)
		if n := len(r.order()); n != 3 || r.States()[Closed] != 1 {
			t.Errorf("%d posts, %v", n, r.States())
		}
	})
}

// Posts hang while a host is away, and time out after it is back.
func TestHosts_FailuresOfBeforeTheReturnSayNothing(t *testing.T) {
	inRoom(t, Options{PerHost: 32}, func(r *room) {
		var hung []*Permit
		for _, id := range ids("hung", 20) {
			p, _ := r.Acquire(r.event(id, "a", First))
			hung = append(hung, p)
		}
		time.Sleep(time.Second)
		r.fail("a", openFailures)
		time.Sleep(leastProbeGap)
		r.offer(r.event("probe", "a", Repeated))
		time.Sleep(time.Second)
		for _, p := range hung {
			p.Report(Down)
			p.Release()
		}
		if r.States()[Closed] != 1 {
			t.Errorf("the circuit is %v", r.States())
		}
	})
}

func TestHosts_FallbackGrowsWithTheOutageAndTheCrowd(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		r.fail("a", openFailures)
		for _, c := range []struct{ after, want time.Duration }{{0, leastFallback}, {20 * time.Minute, 5 * time.Minute}, {3 * time.Hour, maxOpen}} {
			time.Sleep(c.after)
			got, open := r.Fallback("a")
			if !open || got < c.want || got > c.want*13/10 {
				t.Errorf("after %v more: %v, want %v", c.after, got, c.want)
			}
		}
		if got, open := r.Fallback("b"); open || got != leastFallback {
			t.Errorf("a quiet host: %v", got)
		}
	})
}

func TestHosts_ForgetIdleOnes(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		busy, _ := r.Acquire(r.event("busy", "busy", First))
		for i := range 1100 {
			r.fail(fmt.Sprint("host", i), 1)
		}
		time.Sleep(hostIdle + time.Second)
		for i := range 1200 {
			r.fail(fmt.Sprint("other", i), 1)
		}
		if n := len(r.byName); n > 1202 {
			t.Errorf("%d hosts are remembered", n)
		}
		if refused := r.offer(r.event("more", "busy", First)); refused != HostBusy {
			t.Errorf("a host with a post under way was forgotten: %v", refused)
		}
		busy.Release()
	})
}

func TestHosts_CloseGivesNoMoreTurns(t *testing.T) {
	inRoom(t, Options{PerHost: 1}, func(r *room) {
		for _, id := range ids("e", 5) {
			r.offer(r.event(id, "a", Repeated))
		}
		r.Wait(r.event("sleeps", "a", Repeated), Pause{Due: time.Now().Add(100 * time.Millisecond), Ends: time.Now().Add(time.Hour)})
		r.Wait(r.event("asked", "a", Repeated), Pause{NotBefore: time.Now().Add(time.Second), Ends: time.Now().Add(time.Hour)})
		r.Wait(r.event("asked before", "a", Repeated), Pause{NotBefore: time.Now().Add(5 * time.Millisecond), Ends: time.Now().Add(time.Hour)})
		r.Wait(r.event("just failed", "a", Repeated), Pause{Due: time.Now().Add(time.Minute), Ends: time.Now().Add(time.Hour)})
		time.Sleep(10 * time.Millisecond)
		waited := r.Close()
		slices.Sort(waited)
		if want := []string{"asked before", "e001", "e002", "e003", "e004", "sleeps"}; !slices.Equal(waited, want) {
			t.Errorf("%v waited, want %v", waited, want)
		}
		r.Drain()
		time.Sleep(time.Minute)
		if n := len(r.order()); n != 1 || r.Wait(r.event("late", "a", First), Pause{Ends: time.Now().Add(time.Hour)}) != ListClosed {
			t.Errorf("%d posts", n)
		}
	})
}

func BenchmarkWait(b *testing.B) {
	h := New(Options{PerHost: 1, Total: 1, MaxWaiting: 1 << 30, MaxPerHost: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	b.ReportAllocs()
	for i := range b.N {
		h.Wait(Event{ID: fmt.Sprintf("default:%036d", i), Host: "default a.example", Since: time.Now(), Post: func(*Permit) {}}, Pause{Due: time.Now().Add(time.Hour), Ends: time.Now().Add(2 * time.Hour)})
	}
	h.Close()
}

// A host begins to fail. The events whose posts showed it are no worse than others.
func TestHosts_AbsolveThoseThatOpenedTheCircuit(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		r.answer = func(string) Word { return Down }
		r.again = func(string) Pause {
			due := time.Now().Add(2 * time.Hour)
			return Pause{Due: due, Ends: due.Add(time.Minute)}
		}
		for _, id := range ids("e", openFailures) {
			r.offer(r.event(id, "a", Repeated))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		before := len(r.order())
		time.Sleep(5 * time.Second)
		if n := len(r.order()) - before; n != openFailures {
			t.Errorf("%d of %d went out when the host was back", n, openFailures)
		}
	})
}

func TestHosts_ChargeNoHostForAFailureThatIsOurs(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		report := func(w Word) {
			p, refused := r.Acquire(r.event("e", "a", Repeated))
			if refused != Granted {
				t.Fatalf("refused: %v", refused)
			}
			p.Report(w)
			p.Release()
		}
		for range 3 * openFailures {
			report(Nothing)
		}
		for range openFailures - 1 { // ours in between do not make a failing host look well
			report(Down)
			report(Nothing)
		}
		report(Down)
		if _, refused := r.Acquire(r.event("e", "a", Repeated)); refused != CircuitOpen {
			t.Errorf("after %d failures of the host, and others between: %v", openFailures, refused)
		}
	})
}

// The task of an event that was probed comes due, and puts it into the list again:
// still behind those that were not tried.
func TestHosts_KeepThePlaceOfAProbeThatFailed(t *testing.T) {
	inRoom(t, Options{PerHost: 4}, func(r *room) {
		r.fail("a", openFailures)
		r.answer = func(string) Word { return Down }
		r.again = func(string) Pause { return Pause{Due: time.Now().Add(time.Second), Ends: time.Now().Add(time.Hour)} }
		first := r.event("first", "a", Repeated)
		r.offer(first)
		time.Sleep(10 * time.Millisecond)
		r.offer(r.event("second", "a", Repeated))
		time.Sleep(leastProbeGap + 100*time.Millisecond)
		r.Wait(first, Pause{Ends: time.Now().Add(time.Hour)})
		time.Sleep(leastProbeGap + 100*time.Millisecond)
		if got, want := r.order(), []string{"first", "second"}; !slices.Equal(got, want) {
			t.Errorf("the probes are %v, want %v", got, want)
		}
	})
}
