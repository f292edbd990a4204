package outcome

import "time"

// story is the record as this package's documentation tells of it, written in
// plain Go. The model test compares it with what Redis holds.
type story struct {
	state   State
	removal Removal
	told    Result // the first final outcome

	holder, claimant, why       string
	failed                      string // whose failure was noted last
	polls, attempts, before     int
	removals, refusals          int
	claimUntil                  time.Time
	sealed                      bool
	retention, redeliveryWindow time.Duration
	final                       time.Time // sealed, or delivered at once
	ended                       time.Time // delivered, given up or cancelled
	ends, sealedEnds            time.Time // of the two keys
}

func (m *story) asksPost() bool {
	return m.state == Sealed || m.state == Handed || m.state == Redelivering
}

func (m *story) mayRemove() bool {
	return m.state == Delivered || m.state == GivenUp || m.state == Redelivering || m.state == Cancelled
}

func (m *story) open() bool { return m.state == None || m.state == Following }

func (m *story) removalEnded() bool { return m.removal == Removed || m.removal == RemovedUnknown }

func (m *story) claimedByOther(now time.Time, claimant string) bool {
	return m.claimant != "" && m.claimant != claimant && m.claimUntil.After(now)
}

// pass lets keys expire.
func (m *story) pass(now time.Time) {
	if m.sealed && !m.sealedEnds.After(now) {
		m.sealed = false
	}
	if m.state != None && !m.ends.After(now) {
		*m = story{redeliveryWindow: m.redeliveryWindow, sealed: m.sealed, sealedEnds: m.sealedEnds}
	}
}

func (m *story) begin() {
	if m.state == None {
		m.retention = session.Retention
	}
}

func (m *story) follow(now time.Time, holder string) bool {
	if m.state == Cancelled {
		return true
	}
	m.begin()
	m.holder = holder
	if m.open() {
		m.state = Following
		m.keepUnsettled(now, modelTimeout+modelWindow+margin)
	}
	return true
}

func (m *story) forget(holder string) bool {
	if m.state != Following || m.holder != holder {
		return false
	}
	*m = story{redeliveryWindow: m.redeliveryWindow}
	return true
}

func (m *story) grant(now time.Time, claimant string) {
	if m.claimant != claimant {
		m.attempts++
	}
	m.claimant, m.claimUntil = claimant, now.Add(claimTime)
}

func (m *story) release(claimant string) {
	if m.claimant == claimant {
		m.claimant, m.claimUntil = "", time.Time{}
	}
}

func (m *story) seal(now time.Time, r Result, state State, claimant, why string) bool {
	if !m.open() {
		if claimant == "" || m.state != state || m.claimant != claimant {
			return false
		}
		m.grant(now, claimant)
		return true
	}
	m.begin()
	m.state, m.told, m.polls, m.sealed = state, r, r.Polls, true
	m.final, m.sealedEnds = now, now.Add(modelWindow+margin)
	m.keepForPost(now)
	if claimant != "" {
		m.grant(now, claimant)
	}
	if why != "" {
		m.why = why
	}
	return true
}

func (m *story) claim(now time.Time, claimant string) bool {
	if !m.asksPost() {
		return false
	}
	m.keepForPost(now)
	if m.claimedByOther(now, claimant) {
		return false
	}
	m.grant(now, claimant)
	return true
}

func (m *story) fail(now time.Time, claimant, why string) bool {
	switch {
	case !m.asksPost():
		return false
	case m.claimant != claimant:
		return m.failed == claimant
	}
	m.release(claimant)
	m.why, m.failed = why, claimant
	m.keepForPost(now)
	return true
}

func (m *story) handOver(now time.Time, claimant, why string) bool {
	if !m.asksPost() || m.state == Redelivering || m.claimedByOther(now, claimant) {
		return false
	}
	m.release(claimant)
	m.state, m.why = Handed, why
	m.keepForPost(now)
	return true
}

func (m *story) deliver(now time.Time, r Result) bool {
	switch {
	case m.state == Delivered:
		return true
	case m.state == Cancelled:
		return false
	case m.open():
		m.begin()
		m.told, m.polls, m.attempts, m.final = r, r.Polls, 1, now
	}
	m.state, m.sealed, m.why, m.ended = Delivered, false, "", now
	m.claimant, m.claimUntil = "", time.Time{}
	m.keepUnsettled(now, 0)
	return true
}

func (m *story) giveUp(now time.Time, claimant, why string) bool {
	if m.state == GivenUp {
		return true
	}
	if !m.asksPost() || m.claimedByOther(now, claimant) {
		return false
	}
	m.release(claimant)
	if m.state != Redelivering {
		m.sealedEnds = now.Add(m.redeliveryWindow)
	}
	m.state, m.why, m.ended = GivenUp, why, now
	m.sealed = m.sealed && m.sealedEnds.After(now)
	m.keepUnsettled(now, m.redeliveryWindow+margin)
	return true
}

func (m *story) redeliver(now time.Time) bool {
	if m.state == Redelivering {
		return true
	}
	if m.state != GivenUp || !m.sealed {
		return false
	}
	m.state, m.before = Redelivering, m.attempts
	m.keepUnsettled(now, m.sealedEnds.Sub(now)+24*time.Hour)
	return true
}

func (m *story) reseal(now time.Time, claimant string) bool {
	if !m.asksPost() || m.claimant != claimant || !m.sealed && m.state == Redelivering {
		return false
	}
	if !m.sealed {
		m.sealedEnds = later(m.final.Add(modelWindow+margin), now.Add(time.Hour))
	}
	m.sealed = true
	m.keepForPost(now)
	return true
}

func (m *story) cancel(now time.Time, removal Removal) bool {
	if m.state == Cancelled {
		return true
	}
	if !m.open() || m.state == None && removal == RemovedUnknown {
		return false
	}
	m.begin()
	m.state, m.removal, m.holder, m.ended = Cancelled, removal, "", now
	m.keepUnsettled(now, 0)
	return true
}

func (m *story) removing(now time.Time) bool {
	return m.mayRemove() && !m.removalEnded() && now.Sub(m.ended) >= RemovalDelay
}

func (m *story) failRemoval(failed FailedRemoval) bool {
	if !m.mayRemove() || m.removalEnded() {
		return false
	}
	m.removal, m.why = RemovalHanded, failed.Why
	m.removals += flag(failed.Sent)
	m.refusals += flag(failed.Refused)
	return true
}

func (m *story) endRemoval(how Removal) bool {
	switch {
	case !m.mayRemove():
		return false
	case m.removal == Removed || m.removal == how:
		return true
	case how == Removed:
		m.removals++
	}
	m.removal = how
	return true
}

func (m *story) settle(now time.Time) bool {
	if !m.removalEnded() || m.state == Redelivering {
		return false
	}
	kept := m.retention + time.Hour
	if m.state == GivenUp {
		kept = max(kept, m.redeliveryWindow+margin)
		if m.sealed {
			kept = max(kept, m.sealedEnds.Sub(now)+margin)
		}
	}
	m.ends = now.Add(kept)
	return true
}

// keepUnsettled keeps the record for longer, and never for less.
func (m *story) keepUnsettled(now time.Time, least time.Duration) {
	m.ends = later(m.ends, now.Add(max(30*24*time.Hour, m.retention+time.Hour, least)))
}

// keepForPost keeps what the next post needs.
func (m *story) keepForPost(now time.Time) {
	if m.sealed && m.state != Redelivering {
		m.sealedEnds = later(m.sealedEnds, m.final.Add(modelWindow+margin))
	}
	least := time.Duration(0)
	if m.sealed {
		least = m.sealedEnds.Sub(now) + margin
	}
	m.keepUnsettled(now, least)
}

// keep is what a task does that is put off.
func (m *story) keep(now time.Time) bool {
	if m.asksPost() {
		m.keepForPost(now)
	} else if m.state != None {
		m.keepUnsettled(now, 0)
	}
	return true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
