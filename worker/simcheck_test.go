package worker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
)

// simFinding is a promise that was broken.
type simFinding struct {
	promise, token, what string
}

func (f simFinding) String() string {
	return strings.TrimSpace(fmt.Sprintf("promise %s: %s %s", f.promise, f.token, f.what))
}

// simCase is all that is known of one session in the end.
type simCase struct {
	world   *simWorld
	visit   *simVisit
	posts   []*simPost
	calls   []simCall
	changes []simChange
	record  outcome.Record
	seen    marksim.Snapshot
}

// The promises, as findings name them.
const (
	promiseLost    = "1: nothing is lost"
	promiseStory   = "2: one story"
	promiseOrder   = "3: order"
	promiseSeconds = "5: a dead worker costs seconds"
	promiseDoor    = "6: bad input is refused at the door"
	promiseOthers  = "6: one cannot slow down another"
)

// check holds every session against the promises.
func (w *simWorld) check() {
	owners := map[string]string{}
	for _, v := range w.all() {
		c := &simCase{world: w, visit: v, posts: w.log.posts[v.token], calls: w.log.calls[v.token], changes: w.log.records[v.token], record: w.record(v)}
		slices.SortFunc(c.posts, func(a, b *simPost) int { return a.begun.Compare(b.begun) })
		c.seen, _ = w.markSigns[v.account].Session(v.token)
		c.checkRecord()
		c.checkStory(owners)
		c.checkOverlaps()
		c.checkDuplicates()
		c.checkCuts()
		c.checkOrder()
		c.checkEnd()
		c.checkOver()
		c.checkTruth()
		c.checkTakeovers()
		c.checkPolls()
		c.checkResumed()
		c.checkRetry()
		c.checkKept()
		c.checkPrompt()
	}
	w.checkBad()
	w.checkStrangers()
	w.checkPublic()
	for _, p := range w.processes {
		if strings.Contains(p.logs.String(), "a defect in identwatch") {
			w.accuse("the log", "", "%s says that it has a defect", p.name)
		}
	}
}

func (c *simCase) broken(promise, format string, args ...any) {
	c.world.accuse(promise, c.visit.token, format, args...)
}

// lostSomething returns whether Redis lost something of the session in an interval.
func (c *simCase) lostSomething(from, to time.Time) bool {
	return c.world.log.lost(c.visit.token, from, to) != nil
}

// lostSealed returns whether Redis lost the session's sealed result alone in an interval.
func (c *simCase) lostSealed(from, to time.Time) bool {
	return c.world.log.find(from, to, []string{c.visit.token}, sealedLost) != nil
}

// simNext are the states that may follow on another.
var simNext = map[outcome.State][]outcome.State{
	outcome.None:         {outcome.Following, outcome.Cancelled},
	outcome.Following:    {outcome.Sealed, outcome.Handed, outcome.Cancelled},
	outcome.Sealed:       {outcome.Handed, outcome.Delivered, outcome.GivenUp},
	outcome.Handed:       {outcome.Delivered, outcome.GivenUp},
	outcome.GivenUp:      {outcome.Redelivering, outcome.Delivered},
	outcome.Redelivering: {outcome.Delivered, outcome.GivenUp},
}

// checkRecord: one final outcome, written once, and each state has its reason.
func (c *simCase) checkRecord() {
	before := simChange{}
	for _, now := range c.changes {
		from, to := outcome.State(before.state), outcome.State(now.state)
		excused := now.lost || c.lostSomething(before.at, now.at)
		switch {
		case !c.visit.further.IsZero() && to == outcome.Following && from != to && now.at.After(c.visit.further) && !now.lost && !c.visit.lost:
			c.broken(promiseStory, "its record was lost and begun again, though a task proved that it had its outcome")
		case excused:
		case from == to:
			if before.typ != now.typ && before.typ != "" {
				c.broken(promiseStory, "its record said %q and says %q", before.typ, now.typ)
			}
		case to == outcome.None && (c.visit.deleted || from.MayRemove() && before.removal != ""):
		case from == outcome.Following && to == outcome.None && c.visit.lost && c.lostSomething(c.world.log.begun, now.at):
			c.world.excuse("forgotten: Redis lost its task, which a worker had in hand")
		case from == outcome.Following && to == outcome.Delivered && c.lostSomething(c.world.log.begun, now.at):
			c.world.excuse("delivered: Redis lost the record during the post")
		case !slices.Contains(simNext[from], to):
			c.broken(promiseStory, "its record went from %q to %q", from, to)
		case before.typ != "" && before.typ != now.typ:
			c.broken(promiseStory, "its record said %q and says %q", before.typ, now.typ)
		default:
			c.checkReason(to, now, before)
		}
		before = now
	}
}

// checkReason: delivered needs a 2xx that was heard, given up a 410 or the window's
// end, and cancelled somebody who did it.
func (c *simCase) checkReason(state outcome.State, now, before simChange) {
	switch state {
	case outcome.Delivered:
		if !slices.ContainsFunc(c.posts, func(p *simPost) bool { return p.acknowledged() && p.heard && !p.end.After(now.at) }) {
			c.broken(promiseLost, "it is noted as delivered, and nobody heard a 2xx")
		}
	case outcome.GivenUp:
		if slices.ContainsFunc(c.posts, func(p *simPost) bool { return p.status == 410 && p.heard && !p.end.After(now.at) }) {
			return
		}
		if before.state == string(outcome.Redelivering) && !before.sealedUntil.After(now.at) {
			c.world.excuse("given up: nobody delivered it again before the redelivery window was over")
			return
		}
		began := c.deliveryBegan(now.at)
		if now.by != nil && now.at.Sub(began) < now.by.with.window-time.Second-simSkew && c.world.log.find(began, now.at, nil, clockMoved) == nil {
			c.broken(promiseLost, "it was given up after %v of a window of %v", now.at.Sub(began), now.by.with.window)
		}
	case outcome.Cancelled:
		if now.by != nil {
			c.broken(promiseStory, "a worker cancelled it")
		}
	case outcome.Sealed, outcome.Handed:
		c.checkEarly(now)
	}
}

const (
	// simSkew is the most that Redis's clock is apart.
	simSkew = 3 * time.Second
	// simClose is what records, which keep milliseconds, and the rounding of clocks
	// may change.
	simClose = 5 * time.Millisecond
)

// deliveryBegan is when the window began that ended at a time.
func (c *simCase) deliveryBegan(at time.Time) time.Time {
	var began time.Time
	for _, change := range c.changes {
		s := outcome.State(change.state)
		if change.at.After(at) {
			break
		}
		if began.IsZero() && (s == outcome.Sealed || s == outcome.Handed) || s == outcome.Redelivering {
			began = change.at
		}
	}
	return began
}

// checkEarly: a worker ends a session by itself at its deadline, and no earlier.
func (c *simCase) checkEarly(now simChange) {
	// A record that was lost may have had another event, which was posted before.
	own := slices.IndexFunc(c.posts, func(p *simPost) bool { return !p.begun.Before(now.at) })
	if now.by == nil || own < 0 {
		return
	}
	reason := reasonOf(c.posts[own].event)
	if reason != "deadline" && reason != "unavailable" {
		return
	}
	started := c.changes[0].at
	if age := now.at.Sub(started); age < now.by.with.session-simClose && c.world.log.find(started, now.at, nil, clockMoved) == nil {
		c.broken("the deadline", "%s ended it %v after its start, with a SESSION_TIMEOUT of %v", now.by.name, age, now.by.with.session)
	}
}

// checkStory: every attempt carries the same id and the same body.
func (c *simCase) checkStory(owners map[string]string) {
	for i, p := range c.posts {
		if owner, known := owners[p.id]; known && owner != c.visit.token {
			c.broken(promiseStory, "its webhook-id is also that of %s", owner)
		}
		owners[p.id] = c.visit.token
		if i == 0 {
			continue
		}
		first := c.posts[i-1]
		switch {
		case p.id != first.id:
			c.broken(promiseStory, "two attempts with the ids %s and %s", first.id, p.id)
		case p.body == first.body:
		case c.visit.deleted:
			c.world.excuse("another body: the operator deleted the task, and it was enqueued again")
		case !c.lostSomething(c.claimBefore(first), p.begun):
			c.broken(promiseStory, "two attempts with different bodies:\n    %.300s\n    %.300s", first.body, p.body)
		default:
			c.world.excuse("another body: Redis lost the sealed result")
		}
	}
}

// claimBefore is the earliest time at which a post may have been claimed: a claim
// lasts for two seconds more.
func (c *simCase) claimBefore(p *simPost) time.Time {
	return p.begun.Add(-p.by.with.delivery - 2*time.Second)
}

// checkOverlaps: no two attempts are under way at once.
func (c *simCase) checkOverlaps() {
	for i, p := range c.posts {
		for _, q := range c.posts[i+1:] {
			if !q.begun.Before(p.end) {
				continue
			}
			from := c.claimBefore(p)
			switch {
			case c.world.log.find(p.begun.Add(1), p.end, []string{p.by.name}, wasFrozen) != nil:
				c.world.excuse("overlap: the first was suspended while it posted")
			case c.lostSomething(from, q.begun):
				c.world.excuse("overlap: Redis lost the claim")
			case c.world.log.find(from, q.begun, nil, clockMoved) != nil:
				c.world.excuse("overlap: Redis's clock was moved")
			default:
				c.broken(promiseStory, "attempts overlap: by %s from %s to %s, and by %s from %s",
					p.by.name, c.world.log.since(p.begun), c.world.log.since(p.end), q.by.name, c.world.log.since(q.begun))
			}
		}
	}
}

// checkDuplicates: what was acknowledged is posted again only if the word did not
// arrive, or was not noted.
func (c *simCase) checkDuplicates() {
	for i, p := range c.posts[:max(0, len(c.posts)-1)] {
		if !p.acknowledged() {
			continue
		}
		if why := c.unnoted(p, c.posts[i+1]); why != "" {
			c.world.excuse("duplicate: " + why)
		} else {
			c.broken(promiseStory, "it was posted again at %s though %s heard a 2xx at %s, and nothing explains it",
				c.world.log.since(c.posts[i+1].begun), p.by.name, c.world.log.since(p.end))
		}
	}
}

// unnoted says why a 2xx was not noted before the next post, "" if nothing does.
func (c *simCase) unnoted(p, repeated *simPost) string {
	who, next := []string{p.by.name}, repeated.begun
	if c.lostSomething(c.claimBefore(p), next) {
		return "Redis lost the note"
	}
	noted := slices.ContainsFunc(c.changes, func(x simChange) bool {
		return x.state == string(outcome.Delivered) && !x.at.Before(p.begun) && x.at.Before(next)
	})
	switch {
	case noted:
		return ""
	case c.visit.deleted:
		return "the operator deleted the task, and it was enqueued again"
	case !p.heard:
		return "the 2xx did not arrive, or too late"
	case c.world.log.find(p.begun, next, who, wasKilled) != nil:
		return "the sender died before it noted the 2xx"
	case c.world.log.find(p.begun, next, who, wasFrozen) != nil:
		return "the sender was suspended before it noted the 2xx"
	case c.world.log.find(p.begun, next, who, stopCutShort) != nil:
		return "the sender's stop was cut short"
	case repeated.by == p.by: // who heard a 2xx insists on the note, and posts no more
	case c.world.log.wayWas(p.by.name, toRedis, next.Add(-simNoted), next):
		return "the sender could not reach Redis to note the 2xx"
	}
	return ""
}

// simNoted is how long after its way to Redis is open again a process may take to
// write a note that waited for that.
const simNoted = 2 * time.Second

// disturbed reports whether a process's ways, or Redis, were in trouble.
func (c *simCase) disturbed(p *simProcess, from, to time.Time) bool {
	if c.world.log.wayWas(p.name, "", from, to) {
		return true
	}
	return c.world.log.find(from, to, []string{c.visit.tag()}, redisIll, redisLost) != nil
}

// checkCuts: a sender never leaves before its own DELIVERY_TIMEOUT is over.
func (c *simCase) checkCuts() {
	for i, p := range c.posts {
		if p.status != 0 {
			continue
		}
		lasted := p.end.Sub(p.begun)
		from := c.claimBefore(p)
		switch {
		case lasted >= p.by.with.delivery-simClose:
		case c.world.log.find(from, p.end.Add(simClose), []string{p.by.name}, wasKilled, wasFrozen, stopCutShort) != nil:
		case c.disturbed(p.by, from, p.end):
		default:
			c.broken(promiseStory, "attempt %d was cut by %s after %v, with a DELIVERY_TIMEOUT of %v", i+1, p.by.name, lasted, p.by.with.delivery)
		}
	}
}

// checkOrder: no DELETE before the word that allows it is two seconds old.
func (c *simCase) checkOrder() {
	for _, call := range c.calls {
		if !call.removes {
			continue
		}
		since, allowed := c.removableSince(call.at)
		switch {
		case !allowed && c.lostSomething(call.at.Add(-time.Second), call.at.Add(time.Second)):
			c.world.excuse("a DELETE whose note was lost")
		case !allowed:
			c.broken(promiseOrder, "a DELETE by %s at %s, which nothing allows", call.by.name, c.world.log.since(call.at))
		case c.keptReason(call.at) && call.at.Sub(since) < call.by.with.redelivery-simSkew:
			c.broken(promiseOrder, "a DELETE by %s %v after the note, though its answer could not be used and REDELIVERY_WINDOW is %v", call.by.name, call.at.Sub(since), call.by.with.redelivery)
		case call.at.Sub(since) >= outcome.RemovalDelay-simClose:
		case c.world.log.find(since, call.at, nil, clockMoved) != nil:
			c.world.excuse("a DELETE too early: Redis's clock was moved")
		case c.lostSomething(since, call.at):
			c.world.excuse("a DELETE too early: Redis lost the note, and it was made again")
		default:
			c.broken(promiseOrder, "a DELETE by %s only %v after the note", call.by.name, call.at.Sub(since))
		}
	}
}

// keptReason reports whether MarkSign said ok by a time, and nobody could read as whom.
func (c *simCase) keptReason(at time.Time) bool {
	return slices.ContainsFunc(c.posts, func(p *simPost) bool { return reasonOf(p.event) == outcome.KeptReason && p.begun.Before(at) }) && !c.visit.deleted
}

// removableSince is since when the record allows a DELETE, as it stood at a time.
func (c *simCase) removableSince(at time.Time) (since time.Time, allowed bool) {
	for _, change := range c.changes {
		if change.at.After(at) {
			break
		}
		may := outcome.State(change.state).MayRemove()
		if may && !allowed {
			since = change.at
		}
		allowed = may
	}
	return since, allowed
}

// checkEnd: the record, the receiver and MarkSign agree on how it ended.
func (c *simCase) checkEnd() {
	r := c.record
	everLost := c.lostSomething(c.world.log.begun, time.Now())
	if c.visit.deleted || c.visit.lost || c.visit.evicted {
		c.world.excuse("its end: an operator deleted its task, or Redis lost its record or all of it")
		return
	}
	heard := slices.ContainsFunc(c.posts, func(p *simPost) bool { return p.acknowledged() && p.heard })
	switch {
	case c.world.isOver(c.visit):
		return // and so is its time
	case !c.visit.canceled.IsZero() != (r.State == outcome.Cancelled) && !everLost:
		c.broken(promiseStory, "cancelled: %v, and its record says %q", !c.visit.canceled.IsZero(), r.State)
	case c.world.isUntellable(c.visit):
		c.world.excuse("no end: Redis lost the sealed result, and MarkSign forgot the session")
		return
	case !r.State.MayRemove():
		return // told of by settle
	case r.State == outcome.Delivered && !heard:
		c.broken(promiseLost, "it is noted as delivered, and no receiver acknowledged it")
	case r.State == outcome.Cancelled && len(c.posts) > 0 && !everLost:
		c.broken(promiseStory, "it was cancelled, and posted")
	case (r.State == outcome.Delivered || r.State == outcome.Cancelled) && c.world.redis.mini.Exists(c.visit.sealed()):
		c.broken("4: personal data stays out of sight", "its sealed result outlives its delivery")
	}
	if at := c.visit.canceled; !at.IsZero() && !everLost && slices.ContainsFunc(c.posts, func(p *simPost) bool { return p.begun.After(at) }) {
		c.broken(promiseStory, "it was posted after it was cancelled")
	}
	if r.State != outcome.None && r.Attempts < len(c.posts) && !everLost {
		c.broken(promiseStory, "%d attempts are noted of %d", r.Attempts, len(c.posts))
	}
	c.checkRemoved(r)
}

// checkOver: what is run again when all is over begins nothing.
func (c *simCase) checkOver() {
	ran := c.visit.ranOver
	if ran.IsZero() {
		return
	}
	for _, x := range c.changes {
		if x.state != "" && x.at.After(ran) {
			c.broken(promiseStory, "its record says %q at %s, though all was over when it was run at %s", x.state, c.world.log.since(x.at), c.world.log.since(ran))
		}
	}
	for _, x := range c.calls {
		if x.at.After(ran) {
			c.broken(promiseStory, "%s asks MarkSign at %s, though all was over when it was run at %s", x.by.name, c.world.log.since(x.at), c.world.log.since(ran))
		}
	}
	for _, p := range c.posts {
		if p.begun.After(ran) {
			c.broken(promiseStory, "%s posts it at %s, though all was over when it was run at %s", p.by.name, c.world.log.since(p.begun), c.world.log.since(ran))
		}
	}
	c.world.log.counts["a session that was over was run again"]++
}

func (c *simCase) checkRemoved(r outcome.Record) {
	asked := 0
	for _, call := range c.calls {
		if call.removes {
			asked++
		}
	}
	switch {
	case c.world.isKept(c.visit):
		c.world.excuse("not removed: kept for an operator to look at")
	case r.Removal == outcome.Removed && c.seen.RemovedAt.IsZero():
		c.broken(promiseOrder, "its record says that it is removed, and MarkSign has it")
	case r.Removal == outcome.Removed:
	case r.Removal != outcome.RemovedUnknown:
		c.broken(promiseLost, "it was not removed: %q", r.Removal)
	case !c.seen.RemovedAt.IsZero() && asked > 1, c.visit.forgotten, r.Reason == "not_found":
		c.world.excuse("an unknown removal: MarkSign does not know the session any more")
	case c.world.log.find(c.world.log.begun, c.world.healed, []string{simAccounts[c.visit.account]}, markSignIll) != nil:
		c.world.excuse("an unknown removal: MarkSign refused it")
	default:
		c.broken(promiseLost, "nobody knows whether it was removed, after %d DELETEs", asked)
	}
}

// checkTakeovers: another worker polls a dead one's session within a lease and two
// seconds, if it could.
func (c *simCase) checkTakeovers() {
	for _, dead := range c.world.processes {
		if dead.diedAt.IsZero() || !dead.diedAt.Before(c.world.healed) && !c.world.healed.IsZero() {
			continue
		}
		died := dead.diedAt
		held := c.heldBy(died)
		if held.holder == "" || held.by == nil || held.state != string(outcome.Following) || held.holderOf() != dead {
			continue
		}
		lease := dead.with.lease
		if dead.handedBack {
			lease = 0
		}
		if dead.running[c.visit.token] { // asynq's own lease counts, of which the sweep waits for 9 s
			lease = max(lease, 10*time.Second)
		}
		until := died.Add(lease + 2*time.Second)
		if !c.calm(died, until, dead) || c.touched(died, until) {
			continue
		}
		c.seesAbsence("a session was taken over", died, until)
		next := slices.IndexFunc(c.calls, func(x simCall) bool { return !x.removes && x.at.After(died) })
		// The next poll may be a pause of the pace away, or that of an error's.
		if next < 0 || c.calls[next].at.After(until.Add(simLate)) {
			if c.world.log.find(died.Add(-40*time.Second), died, []string{simAccounts[c.visit.account]}, markSignIll, tokenChanged) == nil {
				c.broken(promiseSeconds, "%s died at %s with a lease of %v, and nobody polled it by %s", dead.name, c.world.log.since(died), dead.with.lease, c.world.log.since(until))
			}
		}
	}
}

// simLate is what a poll may come late by chance: a spread of takeovers.
const simLate = 400 * time.Millisecond

func (x simChange) holderOf() *simProcess { return x.by }

// heldBy is the record's last change before a time.
func (c *simCase) heldBy(at time.Time) simChange {
	var last simChange
	for _, change := range c.changes {
		if change.at.After(at) {
			break
		}
		last = change
	}
	return last
}

// touched reports whether the record was changed in an interval, beside by a takeover.
func (c *simCase) touched(from, to time.Time) bool {
	return slices.ContainsFunc(c.changes, func(x simChange) bool {
		return x.at.After(from) && x.at.Before(to) && x.state != string(outcome.Following)
	})
}

// calm reports whether a worker that was there all the time could have taken the
// session, and nothing hindered it.
func (c *simCase) calm(from, to time.Time, dead *simProcess) bool {
	if c.world.log.find(from.Add(-5*time.Second), to, []string{simAccounts[c.visit.account], c.visit.token, c.visit.tag()}, redisIll, redisLost, clockMoved, markSignIll, tokenChanged, operatorDid) != nil {
		return false
	}
	able := false
	for _, p := range c.world.processes {
		if p == dead || p.begins().After(to) {
			continue
		}
		gone := !p.diedAt.IsZero() && p.diedAt.Before(from)
		if gone {
			continue
		}
		if p.begins().After(from) || !p.diedAt.IsZero() && p.diedAt.Before(to) ||
			c.world.log.find(from.Add(-20*time.Second), to, []string{p.name}, wasFrozen, wayDisturbed, wasStopped, stopCutShort) != nil {
			return false
		}
		if p.with.limit < 10 || p.with.taskKeys && !c.world.plan.Signed || c.visit.rewritten {
			return false
		}
		able = true
	}
	return able
}

// checkPrompt: the event of a session whose account, receiver and workers are well
// is there soon after its outcome, whatever happens to others.
func (c *simCase) checkPrompt() {
	final := c.seen.FinalAt
	if final.IsZero() || c.visit.accepted.IsZero() || len(c.changes) == 0 || !c.visit.canceled.IsZero() {
		return
	}
	from := slices.MaxFunc([]time.Time{final, c.visit.accepted, c.changes[0].at}, time.Time.Compare)
	pause := 5 * time.Second // at the default pace, for a session that is older than two minutes
	by := from.Add(pause + pause/5 + 2*time.Second)
	if c.world.log.find(c.visit.accepted.Add(-time.Second), by, []string{simAccounts[c.visit.account], c.visit.receiver(), c.visit.token, c.visit.tag()}, redisIll, redisLost, clockMoved, markSignIll, tokenChanged, receiverIll, operatorDid) != nil {
		return
	}
	c.seesAbsence("a session was to be prompt", c.visit.accepted, by)
	for _, p := range c.world.processes {
		if p.begins().After(c.visit.accepted) && p.begins().Before(by) || !p.diedAt.IsZero() && p.diedAt.After(c.visit.accepted.Add(-time.Minute)) && p.diedAt.Before(by) ||
			c.world.log.find(c.visit.accepted.Add(-30*time.Second), by, []string{p.name}, wasFrozen, wayDisturbed, wasStopped, wasKilled, stopCutShort) != nil || p.with.limit < 10 || p.with.polls < 4 || p.with.posts < 4 {
			return
		}
	}
	if c.visit.rewritten || !slices.ContainsFunc(c.posts, func(p *simPost) bool { return p.acknowledged() && !p.end.After(by) }) {
		if !c.visit.rewritten {
			c.broken(promiseOthers, "its outcome was there at %s, and no event by %s, though nothing hindered it", c.world.log.since(from), c.world.log.since(by))
		}
	}
}

// simChecks are the screenings by the name of their field.
var simChecks = []tasks.Check{tasks.PEPs, tasks.Sanctions}
