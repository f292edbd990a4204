package worker

import (
	"slices"
	"strconv"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
)

// simTokens are the access tokens of an account: MarkSign takes the newest alone, and
// the operators' file has the one that a worker reads when it starts, and each five
// seconds. Each token is a number here.
type simTokens struct {
	newest, file int
	changed      *simIncident // from when MarkSign refuses the old one until all workers have the newest
}

func simAccessToken(account string, n int) string {
	return "access-token-of-" + account + "-" + strconv.Itoa(n) + "-MARKED"
}

// simReading is that a worker took another access token from the file.
type simReading struct {
	account int
	token   int
	at      time.Time
	after   *simIncident
}

// playTokens does the steps of a new access token.
func (w *simWorld) playTokens(s simStep, p *simProcess) bool {
	switch s.do {
	case "new access token":
		w.renewToken(s.account)
	case "its file":
		w.tokens[s.account].file = w.tokens[s.account].newest
		w.log.say("the file of %s has its newest access token", simAccounts[s.account])
	case "reads the files":
		if p != nil {
			w.readTokens(p)
		}
	default:
		return false
	}
	return true
}

func (w *simWorld) renewToken(account int) {
	t := &w.tokens[account]
	t.newest++
	w.markSigns[account].SetAccessToken(simAccessToken(simAccounts[account], t.newest))
	w.log.say("MarkSign takes access token %d of %s, and no other", t.newest, simAccounts[account])
	if t.changed == nil {
		t.changed = w.log.note(tokenChanged, simAccounts[account])
	}
}

// readTokens has a worker take the access tokens of the files. One that is suspended
// does so when it goes on.
func (w *simWorld) readTokens(p *simProcess) {
	for account, t := range w.tokens {
		if p.frozenNow() == nil {
			p.readToken(account, t)
			continue
		}
		w.late.Go(func() {
			if p.awaitRunning() {
				p.readToken(account, t)
			}
		})
	}
	w.endChanges()
}

func (p *simProcess) readToken(account int, t simTokens) {
	p.mu.Lock()
	known := t.file <= p.tokens[account]
	p.mu.Unlock()
	if known {
		return
	}
	if err := p.worker.SetAccessToken(simAccounts[account], simAccessToken(simAccounts[account], t.file)); err != nil {
		panic(err)
	}
	p.world.log.say("%s has access token %d of %s", p.name, t.file, simAccounts[account])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[account] = t.file
	p.readings = append(p.readings, simReading{account, t.file, time.Now(), t.changed})
}

// endChanges ends the incidents of accounts whose newest access token all workers have.
func (w *simWorld) endChanges() {
	for account := range w.tokens {
		t := &w.tokens[account]
		if t.changed != nil && !slices.ContainsFunc(w.processes, func(p *simProcess) bool { return p.isAlive() && p.tokenOf(account) < t.newest }) {
			w.log.over(t.changed)
			t.changed = nil
		}
	}
}

func (p *simProcess) tokenOf(account int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens[account]
}

// mendTokens gives every worker the newest access tokens.
func (w *simWorld) mendTokens() {
	for account := range w.tokens {
		w.tokens[account].file = w.tokens[account].newest
	}
	for _, p := range w.processes {
		if p.isAlive() {
			w.readTokens(p)
		}
	}
}

// simResumed is within which a session is polled that waited because MarkSign refused
// the access token, from when its worker has the newest: the spread, and a command.
const simResumed = 800 * time.Millisecond

// checkResumed: a worker that gets the newest access token goes on at once.
func (c *simCase) checkResumed() {
	for _, p := range c.world.processes {
		for _, r := range p.readings {
			if r.account != c.visit.account || r.after == nil || r.token < c.world.tokens[r.account].newest || p.with.polls < 4 || c.wasFull(p) || !c.waitedFor(p, r) {
				continue
			}
			if !slices.ContainsFunc(c.calls, func(x simCall) bool { return !x.removes && !x.at.Before(r.at) && x.at.Sub(r.at) <= simResumed }) {
				c.broken(promiseOthers, "%s has the newest access token since %s, and did not poll it by %s", p.name, c.world.log.since(r.at), c.world.log.since(r.at.Add(simResumed)))
			}
			c.world.log.counts["a session was resumed with a new access token"]++
		}
	}
}

// wasFull reports whether a worker ever took more sessions of the shard than its
// FOLLOW_LIMIT, of which the simulation's small ones are the same for each shard. Then
// it may have given one back to the queue, for one of an account that had less than its
// share, and its record names it as the holder all the same.
func (c *simCase) wasFull(p *simProcess) bool {
	took := 0
	for _, v := range c.world.all() {
		if v.shard == c.visit.shard && slices.ContainsFunc(c.world.log.records[v.token], func(x simChange) bool { return x.by == p && x.state == string(outcome.Following) }) {
			took++
		}
	}
	return took > p.with.limit
}

// waitedFor reports whether a session of a worker waited for a new access token, because
// its last poll was refused, and nothing else was the matter since.
func (c *simCase) waitedFor(p *simProcess, r simReading) bool {
	held, by := c.heldBy(r.at), r.at.Add(simResumed)
	if outcome.State(held.state) != outcome.Following || held.holderOf() != p || !p.diedAt.IsZero() && p.diedAt.Before(by) || c.visit.deleted || c.touched(r.at, by) {
		return false
	}
	for _, last := range slices.Backward(c.calls) {
		if last.at.Before(r.at) {
			return last.by == p && last.at.After(r.after.from) && c.isUndisturbed(p, last.at, by) &&
				c.world.log.find(last.at, by, []string{c.visit.token, simAccounts[c.visit.account]}, markSignIll, operatorDid) == nil
		}
	}
	return false
}
