package worker

import (
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
)

// simNotice is what a worker may take to see that a session is another's, beside a
// third of its lease: a poll that was under way, and a command to Redis.
const simNotice = 5 * time.Second

// checkPolls: a session is polled by who holds it, and no more once it is cancelled
// or its time is over.
func (c *simCase) checkPolls() {
	owners := map[string]*simProcess{}
	for _, change := range c.changes {
		if change.holder != "" && owners[change.holder] == nil {
			owners[change.holder] = change.by
		}
	}
	late := map[*simProcess]time.Time{} // the last poll of each after its deadline
	for _, call := range c.calls {
		if call.removes {
			continue
		}
		held, since := c.heldSince(call.at)
		switch outcome.State(held.state) {
		case outcome.Cancelled:
			if c.sawInTime(call, since) {
				c.broken(promiseStory, "%s polls it at %s, though it was cancelled at %s", call.by.name, c.world.log.since(call.at), c.world.log.since(since))
			}
		case outcome.Following:
			if owner := owners[held.holder]; owner != nil && owner != call.by && c.sawInTime(call, since) {
				c.broken(promiseStory, "%s polls it at %s, though %s took it over at %s", call.by.name, c.world.log.since(call.at), owner.name, c.world.log.since(since))
			}
			if before, again := late[call.by]; again && c.isUndisturbed(call.by, before, call.at) {
				c.broken("the deadline", "%s polls it again at %s, after a last poll at %s", call.by.name, c.world.log.since(call.at), c.world.log.since(before))
			}
			begun := c.begunAt(call.at)
			if call.at.Sub(begun) > call.by.with.session+c.learnedLate(call)+simClose && !c.lostSomething(begun, call.at) && c.world.log.find(c.world.log.begun, call.at, nil, clockMoved) == nil {
				late[call.by] = call.at
			}
		}
	}
}

// begunAt is when the record began that stood at a time. One that was forgotten, because
// Redis lost the task of its session, begins again when the session is enqueued again.
func (c *simCase) begunAt(at time.Time) (begun time.Time) {
	state := ""
	for _, change := range c.changes {
		if change.at.After(at) {
			break
		}
		if state == "" && change.state != "" {
			begun = change.at
		}
		state = change.state
	}
	return begun
}

// learnedLate is how late a worker that polls may have heard of its session's age: the
// answer to the command by which it took the session waited for it. It counts the age
// from when it reads the answer, so that it ends no session early.
func (c *simCase) learnedLate(call simCall) (late time.Duration) {
	var took time.Time
	for i, change := range c.changes {
		if change.at.After(call.at) {
			break
		}
		if change.by == call.by && (i == 0 || change.holder != c.changes[i-1].holder) {
			took = change.at
		}
	}
	for _, in := range c.world.log.all(took, took, call.by.name, wasFrozen, wayDisturbed) {
		late = max(late, in.to.Sub(took))
	}
	return late
}

// heldSince is the record's last change before a time, and since when its holder and
// its state were those.
func (c *simCase) heldSince(at time.Time) (held simChange, since time.Time) {
	for _, change := range c.changes {
		if change.at.After(at) {
			break
		}
		if since.IsZero() || change.holder != held.holder || change.state != held.state {
			since = change.at
		}
		held = change
	}
	return held, since
}

// sawInTime reports whether a worker that made a call had the time to see since when
// the session was no longer its own.
func (c *simCase) sawInTime(call simCall, since time.Time) bool {
	return call.at.Sub(since) > call.by.with.lease/3+simNotice && c.isUndisturbed(call.by, since, call.at)
}

// isUndisturbed reports whether a worker and Redis were well in an interval, and Redis
// lost nothing of the session.
func (c *simCase) isUndisturbed(p *simProcess, from, to time.Time) bool {
	return c.world.log.find(from.Add(-mostUpload), to, []string{p.name, c.visit.tag()}, wasFrozen, wayDisturbed, wasStopped, stopCutShort, redisIll, clockMoved) == nil &&
		!c.lostSomething(from, to)
}

// checkRetry: a first post that failed is repeated after a second.
func (c *simCase) checkRetry() {
	if len(c.posts) == 0 {
		return
	}
	p := c.posts[0]
	by := p.end.Add(simFirstRetry)
	if !p.heard || p.status < 500 || p.asks || !c.isUndisturbed(p.by, p.begun, by) || by.After(c.world.healed) && c.world.healed.After(p.end) ||
		c.world.log.find(p.end.Add(simClose), by, []string{p.host, c.visit.token}, receiverIll, operatorDid) != nil ||
		!p.by.diedAt.IsZero() && p.by.diedAt.Before(by) || p.by.with.posts < 4 || p.by.with.window < time.Minute || c.world.failedAt(p.host, by) > 2 {
		return
	}
	c.seesAbsence("a first post was repeated", p.end, by)
	if !slices.ContainsFunc(c.posts[1:], func(q *simPost) bool { return !q.begun.After(by) }) {
		c.broken(promiseOthers, "its first post failed at %s, and the next was not made by %s, though nothing hindered it", c.world.log.since(p.end), c.world.log.since(by))
	}
}

// simFirstRetry is until when the first retry is made: its pause of a second, the
// jitter of that, and the note before it.
const simFirstRetry = 1800 * time.Millisecond

// failedAt counts the posts to a host that were not acknowledged by a time.
func (w *simWorld) failedAt(host string, by time.Time) (n int) {
	for _, posts := range w.log.posts {
		for _, p := range posts {
			if p.host == host && !p.acknowledged() && !p.begun.After(by) {
				n++
			}
		}
	}
	return n
}

// checkKept: who posts an event keeps its sealed result for its whole window.
func (c *simCase) checkKept() {
	for i, p := range c.posts {
		switch {
		case p.kept >= p.wants-simSkew, c.lostSomething(c.claimBefore(p), p.begun):
		case c.lostSealed(p.claimed, p.begun):
			c.world.excuse("not kept: Redis lost the sealed result between the claim and the post")
		default:
			c.broken(promiseLost, "attempt %d by %s left its sealed result for %v of the window's %v", i+1, p.by.name, p.kept, p.wants)
		}
	}
}
