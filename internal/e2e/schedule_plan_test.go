//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// scheduleLength is for how long faults begin.
const scheduleLength = 18 * time.Second

// shape is how Redis is set up, and what it can lose.
type shape string

const (
	always   shape = "appendfsync always"
	everysec shape = "appendfsync everysec"
	rollback shape = "loses its last second"
	sentinel shape = "behind Sentinel"
)

// plan is all that a schedule's seed decides.
type plan struct {
	seed      uint64
	redis     shape
	clocks    []time.Duration // what each worker's is fast by
	releases  releases        // what the workers run with
	retention time.Duration   // of the application's second client
	visits    []visit
	faults    []planned
}

// visit is one session, and what its person does.
type visit struct {
	token     string
	reference string
	method    string
	checks    []tasks.Check
	person    marksim.Person
	enqueue   time.Duration // when the application does, from the start of the schedule
	twice     bool          // from two clients at once
	forget    time.Duration // when MarkSign loses the session; 0 is never
	gone      bool          // the receiver answers 410
}

// planned is one fault to come.
type planned struct {
	kind  *kind
	nth   int
	on    []string // what it has for itself while it lasts
	at    time.Duration
	lasts time.Duration
}

func (f planned) dice(seed uint64) *rand.Rand { return ofSeed(seed, uint64(1000+f.nth)) }

func drawPlan(seed uint64) plan {
	dice := ofSeed(seed, 0)
	p := plan{seed: seed, redis: [...]shape{always, everysec, rollback, sentinel, rollback}[seed%5]}
	if seed%5 == 4 && dice.IntN(2) == 0 {
		p.redis = sentinel
	}
	p.clocks = make([]time.Duration, 2+dice.IntN(2))
	if dice.IntN(4) == 0 {
		p.clocks[0] = -time.Duration(dice.Int64N(int64(2500 * time.Millisecond)))
		p.clocks[1] = time.Duration(dice.Int64N(int64(2500 * time.Millisecond)))
	}
	for i := range 20 + dice.IntN(41) {
		p.visits = append(p.visits, drawVisit(dice, tokenOf(seed, i), i))
	}
	p.drawFaults(dice)
	p.releases = drawReleases(ofSeed(seed, 1))
	p.retention = oneOf(ofSeed(seed, 2), time.Hour, 24*time.Hour, 30*24*time.Hour)
	return p
}

// ends are what persons do, the likely more than once.
var ends = []marksim.Outcome{
	marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms, marksim.Confirms,
	marksim.Confirms, marksim.Confirms, marksim.Refuses, marksim.Refuses, marksim.WrongCode, marksim.Expires,
	marksim.UnknownAccount, marksim.NotQualified, marksim.DocumentCorrupted, marksim.Canceled, marksim.Waits,
}

func drawVisit(dice *rand.Rand, token string, i int) visit {
	v := visit{
		token: token, reference: "order-" + token, method: marksim.SmartID,
		enqueue: time.Duration(dice.Int64N(int64(scheduleLength * 3 / 4))), twice: dice.IntN(5) == 0,
	}
	if dice.IntN(2) == 0 {
		v.method = marksim.MobileID
	}
	for _, check := range []tasks.Check{tasks.PEPs, tasks.Sanctions} {
		if dice.IntN(2) == 0 {
			v.checks = append(v.checks, check)
		}
	}
	full := marked(ends[dice.IntN(len(ends))], 0)
	full.Code = fmt.Sprintf("%s%05d", markedCode, i)
	full.AfterMin = time.Duration(dice.Int64N(int64(9 * time.Second)))
	if dice.IntN(3) > 0 {
		full.PEPs = nil
	}
	if dice.IntN(3) > 0 {
		full.Sanctions = nil
	}
	v.person = full
	if full.Outcome == marksim.Waits { // it ends at its deadline, soon after the faults
		v.enqueue = time.Duration(dice.Int64N(int64(2 * time.Second)))
	}
	if dice.IntN(20) == 0 {
		v.forget = v.enqueue + time.Duration(dice.Int64N(int64(8*time.Second)))
	}
	v.gone = dice.IntN(25) == 0
	return v
}

// drawFaults draws faults that do not share what they strike.
func (p *plan) drawFaults(dice *rand.Rand) {
	for i := range kinds {
		if k := &kinds[i]; k.sure != nil && k.sure(p) {
			p.tryFault(dice, k)
		}
	}
	total := 0
	for i := range kinds {
		total += kinds[i].weight
	}
	for range 9 + dice.IntN(9) {
		roll := dice.IntN(total)
		for i := range kinds {
			if roll -= kinds[i].weight; roll < 0 {
				p.tryFault(dice, &kinds[i])
				break
			}
		}
	}
	slices.SortFunc(p.faults, func(a, b planned) int { return int(a.at - b.at) })
	for i := range p.faults {
		p.faults[i].nth = i
	}
}

func (p *plan) tryFault(dice *rand.Rand, k *kind) {
	if k.only != nil && !k.only(p) {
		return
	}
	for range 20 {
		f := planned{kind: k, on: k.on(p, dice)}
		f.at = time.Second + time.Duration(dice.Int64N(int64(scheduleLength-2*time.Second)))
		f.lasts = k.least + time.Duration(dice.Int64N(int64(k.most-k.least+1)))
		f.lasts = min(f.lasts, max(scheduleLength-f.at, k.least))
		if p.free(f) {
			p.faults = append(p.faults, f)
			return
		}
	}
}

// free reports whether nothing else strikes the same a second before and after.
func (p *plan) free(f planned) bool {
	for _, g := range p.faults {
		if f.at < g.at+g.lasts+time.Second && g.at < f.at+f.lasts+time.Second && shares(f.on, g.on) {
			return false
		}
	}
	return true
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: Redis %s; %d workers, clocks %v; %d sessions\n", p.seed, p.redis, len(p.clocks), p.clocks, len(p.visits))
	b.WriteString(p.releases.String())
	for _, f := range p.faults {
		fmt.Fprintf(&b, "  %5.1fs for %4.1fs %s %v\n", f.at.Seconds(), f.lasts.Seconds(), f.kind.name, f.on)
	}
	return b.String()
}
