//go:build unix

package e2e

import (
	"slices"
	"time"
)

// lateArrival is how long after its sender's death a post may arrive that had left it
// before, on a busy machine.
const lateArrival = time.Second

// clockApart is the most that a worker's clock is wrong.
const clockApart = 3 * time.Second

// heldBack reports whether a post may have been sent long before it arrived,
// because the sender's way to the receiver was in trouble: a proxy holds what a
// sender that gave up, or is dead, has sent.
func (c *chronicle) heldBack(p post) bool {
	return p.begun.Sub(p.signed) > time.Second && c.find(receiverWay, p.by, p.signed.Add(-clockApart), p.begun) != nil
}

// sentAfter is a time before which none of the posts was sent.
func (c *chronicle) sentAfter(posts ...post) time.Time {
	var earliest time.Time
	for i, p := range posts {
		sent := p.begun
		if c.heldBack(p) {
			sent = p.signed.Add(-clockApart)
		}
		if i == 0 || sent.Before(earliest) {
			earliest = sent
		}
	}
	return earliest
}

// overlaps: no two posts are under way at once. A sender gives up when its
// DELIVERY_TIMEOUT is over, whatever the receiver still does.
func (a account) overlaps(c *chronicle) []finding {
	var all []finding
	for i, p := range a.posts {
		until := p.begun.Add(c.of(p.by).delivery)
		if !p.ended.IsZero() && p.ended.Before(until) {
			until = p.ended
		}
		for _, q := range a.posts[i+1:] {
			if !q.begun.Before(until) {
				continue
			}
			const what = "posts that overlap"
			from := p.begun.Add(-c.of(p.by).claim())
			switch {
			case c.find(suspended, p.by, from, q.begun) != nil:
				all = append(all, finding{what, "the sender was suspended"})
			case c.lost(a.admission.token, from, q.begun) != nil:
				all = append(all, finding{what, "Redis lost the claim"})
			case c.heldBack(p), c.heldBack(q):
				all = append(all, finding{what, "one was held back on its way"})
			default:
				all = append(all, broken("posts overlap: by %s from %s, and by %s at %s", p.by, p.begun.Format(clock), q.by, q.begun.Format(clock)))
			}
		}
	}
	return all
}

// duplicates: what a receiver acknowledged is posted again only where the word did
// not arrive, or was not noted.
func (a account) duplicates(c *chronicle) []finding {
	var all []finding
	for i, p := range a.posts[:max(0, len(a.posts)-1)] {
		if !p.acknowledged() {
			continue
		}
		why := a.unheard(c, p, a.posts[i+1].begun)
		if why == "" && c.heldBack(a.posts[i+1]) {
			why = "a post was held back on its way"
		}
		if why != "" {
			all = append(all, finding{"a duplicate", why})
		} else {
			all = append(all, broken("posted again at %s though %s had its 2xx at %s, and nothing explains it",
				a.posts[i+1].begun.Format(clock), p.by, p.ended.Format(clock)))
		}
	}
	return all
}

// timedOut reports whether the sender of a post waited for its whole timeout and then
// said that it heard nothing. A sender that gives up sooner is not excused.
func (c *chronicle) timedOut(p post, token string) bool {
	return slices.ContainsFunc(c.timeouts[token], func(t timeout) bool {
		waited := t.at.Sub(p.begun)
		return t.by == p.by && waited >= c.of(p.by).delivery-100*ms && waited < c.of(p.by).delivery+5*time.Second
	})
}

// unheard says why a 2xx was not heard, or not noted before the next post; ""
// where nothing explains it.
func (a account) unheard(c *chronicle, p post, next time.Time) string {
	noted := p.ended.Add(noteTime)
	from := p.begun
	// While its Redis is away a worker tries again, and may die before it is heard.
	if trouble := c.redisTrouble(p.by, p.ended, noted); trouble != nil {
		noted = slices.MaxFunc([]time.Time{noted, trouble.to.Add(noteTime), next}, time.Time.Compare)
	}
	switch {
	case p.cut:
		return "the receiver cut its 2xx off"
	case p.ended.Sub(p.begun) > c.of(p.by).delivery-100*ms:
		return "the 2xx was too late"
	case c.timedOut(p, a.admission.token):
		return "the 2xx was too late for a sender that the machine held up"
	case c.find(receiverWay, p.by, from.Add(-time.Second), p.ended.Add(noteTime)) != nil:
		return "the 2xx was lost on its way"
	case c.find(killed, p.by, from.Add(-lateArrival), noted) != nil:
		return "the worker was killed before it noted the 2xx"
	case c.find(suspended, p.by, from, noted) != nil:
		return "the worker was suspended before it noted the 2xx"
	case c.find(cutShort, p.by, from, noted.Add(c.of(p.by).shutdown())) != nil:
		return "the worker's stop was cut short before it noted the 2xx"
	case c.lost(a.admission.token, from, noted) != nil:
		return "Redis lost the note"
	}
	for _, what := range []trouble{redisAway, redisRefused, redisWay} {
		if c.find(what, p.by, from, noted) != nil {
			return string(what) + " when it was to be noted"
		}
	}
	return ""
}
