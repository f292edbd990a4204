package hosts

import (
	"container/heap"
	"log/slog"
	"time"
)

const (
	// openFailures in a row, within openWindow, open a host's circuit.
	openFailures = 10
	openWindow   = time.Minute
	// backFailures in a row are what a host comes back from although its circuit
	// never opened. Fewer may be one event that the receiver refuses for what it is:
	// that keeps to its schedule, however well the host answers others.
	backFailures = 3
	// rampFailures in a row open the circuit again while the host ramps up.
	rampFailures = 3
	// rampStep is after how long a host that is back may have twice as many posts.
	rampStep = 200 * time.Millisecond
)

// host is one host. It is guarded by the lock of Hosts.
type host struct {
	name  string
	limit int
	log   *slog.Logger

	underWay int
	used     time.Time

	open     bool
	probe    *Permit   // of the post that tries whether it is back; nil if none does
	probeAt  time.Time // when the next may begin
	failing  time.Time // when the first of the failures in a row was; zero without any
	row      int       // failures in a row
	window   time.Time // since when inWindow counts
	inWindow int
	back     time.Time // when it last came back; then it ramps up

	ready   [kinds]queue // wait for the host alone, by their outcome
	asleep  queue        // wait for the end of their pause, by when that is
	last    Kind         // whose turn it was last
	listed  int          // in all three queues
	swept   time.Time    // when what is over was last dropped
	sweepAt int          // how many are listed when that is due again
	timer   *time.Timer
}

func newHost(name string, opts Options) *host {
	return &host{name: name, limit: opts.PerHost, log: opts.Log, sweepAt: leastSweep}
}

func (k *host) state() State {
	switch {
	case !k.open:
		return Closed
	case k.probe != nil:
		return HalfOpen
	}
	return Open
}

// answered takes note that the host is well. If that is news, everything that waits
// for it is set free, paced by the ramp. The answer to a post that began before the
// host failed says nothing of it now.
func (k *host) answered(p *Permit, now time.Time) {
	if k.open && p.begun.Before(k.failing) {
		return
	}
	news := k.open || k.row >= backFailures
	if k.open {
		k.log.Info("a receiver's host is back; posts to it go on", "receiver", k.name, "failed_for", now.Sub(k.failing).Round(time.Second).String())
	}
	k.open, k.probe, k.row, k.inWindow, k.failing = false, nil, 0, 0, time.Time{}
	if news {
		k.back = now
		k.wakeAll(now)
	}
}

// failed takes note of a failure. One of a post that began before the host was back
// says nothing of it now.
func (k *host) failed(p *Permit, now time.Time) {
	if p.begun.Before(k.back) {
		return
	}
	if k.row++; k.row == 1 {
		k.failing = now
	}
	if k.open {
		if k.probe == p {
			k.probe, k.probeAt = nil, now.Add(probeGap(now.Sub(k.failing)))
		}
		return
	}
	if now.Sub(k.window) > openWindow {
		k.window, k.inWindow = now, 0
	}
	switch k.inWindow++; {
	case k.row >= rampFailures && k.ramping(now):
	case k.inWindow >= openFailures:
		k.absolve()
	default:
		return
	}
	k.open, k.probeAt = true, now.Add(leastProbeGap)
	k.log.Warn("a receiver's host keeps failing; posts to it wait, but for one now and then", "receiver", k.name)
}

// absolve has the events wait for the host whose posts were the failures in a row that
// open its circuit. What fails while the host ramps up is not absolved: it fails for
// itself, perhaps.
func (k *host) absolve() {
	var innocent []*entry
	for _, e := range k.asleep.entries {
		if !e.asked && !e.came.Before(k.failing) {
			innocent = append(innocent, e)
		}
	}
	for _, e := range innocent {
		k.asleep.remove(e)
		k.ready[e.Kind].add(e, e.came)
	}
}

const (
	leastProbeGap = time.Second
	shortProbeGap = 2 * time.Second
	mostProbeGap  = 15 * time.Second
)

// probeGap is between two posts that try whether a host is back that has been failing
// for so long. The gap is what its events are late by at worst when it is, so it grows
// with the outage and stays small beside it: a third of it and no more than 2 s at
// first (1 s, 1 s, 1.1 s, 1.5 s, 2 s …), then a twentieth, 3 s after a minute and
// 15 s from five minutes on. Gaps that double (1, 2, 4, 8, 15 s) would make everybody
// wait 15 s for a receiver that was restarting for a minute.
func probeGap(failing time.Duration) time.Duration {
	most := min(max(failing/20, shortProbeGap), mostProbeGap)
	return min(max(failing/3, leastProbeGap), most)
}

// allowed is how many posts may be under way: after the host came back 1, 2, 4 and so
// on, so that it is not knocked over by what waited.
func (k *host) allowed(now time.Time) int {
	if !k.back.IsZero() {
		if steps := now.Sub(k.back) / rampStep; steps < 30 {
			return min(k.limit, 1<<steps)
		}
	}
	return k.limit
}

// nextStep is when the ramp allows more.
func (k *host) nextStep(now time.Time) time.Time {
	return now.Add(rampStep - now.Sub(k.back)%rampStep)
}

func (k *host) ramping(now time.Time) bool { return k.allowed(now) < k.limit }

// admits says whether one more post may begin, as far as the host goes.
func (k *host) admits(now time.Time) Refusal {
	switch {
	case k.open && (k.probe != nil || now.Before(k.probeAt)):
		return CircuitOpen
	case k.open:
		return Granted
	case k.underWay >= k.allowed(now):
		return HostBusy
	}
	return Granted
}

// earlyShare of its pause an event sleeps in any case, also if its host comes back
// right after its post failed. It bounds the posts of events that the receiver refuses
// for what they are, if there are enough of them to look like a host that comes and goes.
const earlyShare = 20

// take puts an entry into its queue. While the circuit is open the host is at fault,
// and not the event: it waits for the host, behind those that were not tried since.
func (k *host) take(e *entry, p Pause, place, now time.Time) {
	e.soonest, e.asked = p.NotBefore, p.NotBefore.After(now)
	switch {
	case e.asked && k.open:
		k.asleep.add(e, p.NotBefore)
	case e.asked:
		k.asleep.add(e, later(p.Due, p.NotBefore))
	case !p.Due.After(now):
		k.ready[e.Kind].add(e, place)
	case k.open:
		k.ready[e.Kind].add(e, now)
	default:
		e.soonest = now.Add(p.Due.Sub(now) / earlyShare)
		k.asleep.add(e, p.Due)
	}
}

// wakeDue has what slept long enough wait for the host.
func (k *host) wakeDue(now time.Time) {
	for e := k.asleep.first(); e != nil && !e.key.After(now); e = k.asleep.first() {
		k.asleep.remove(e)
		k.ready[e.Kind].add(e, e.Since)
	}
}

// wakeAll ends the pauses of all that sleep, but not before their soonest.
func (k *host) wakeAll(now time.Time) {
	for _, e := range k.asleep.entries {
		if e.key.After(now) {
			e.key = later(now, e.soonest)
		}
	}
	heap.Init(&k.asleep)
}

// over returns the entries whose time in the list is over.
func (k *host) over(now time.Time) (ended []*entry) {
	for _, q := range []*queue{&k.ready[First], &k.ready[Repeated], &k.asleep} {
		for _, e := range q.entries {
			if !now.Before(e.ends) {
				ended = append(ended, e)
			}
		}
	}
	return ended
}

// sweepDue says whether the entries whose time is over are to be dropped now.
func (k *host) sweepDue(now time.Time, most int) bool {
	return k.listed >= k.sweepAt || k.listed >= most && now.Sub(k.swept) >= sweepPause
}

// prober is the sleeper that tries whether the host is back if nobody else waits for
// it: the one that may go first; nil without any. It looks at every sleeper.
func (k *host) prober() (first *entry) {
	for _, e := range k.asleep.entries {
		if first == nil || e.soonest.Before(first.soonest) {
			first = e
		}
	}
	return first
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
