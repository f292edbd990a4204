package marksim

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// neverAnswersAfter is when Smart-ID and Mobile-ID give a person up.
const neverAnswersAfter = 2 * time.Minute

// Snapshot is how a session stands, and how it was treated. It holds nothing
// personal.
type Snapshot struct {
	Token     string
	Method    string // SmartID or MobileID
	Outcome   Outcome
	StartedAt time.Time

	// Polls counts the status calls that arrived, those that met a fault too.
	Polls       int
	FirstPollAt time.Time
	LastPollAt  time.Time

	// MaxPollGap is the longest time between two polls, up to the first that got
	// the outcome.
	MaxPollGap time.Duration

	// FinalAt is when the outcome is there to be read, perhaps in the future;
	// zero is never.
	FinalAt time.Time

	// FinalSeenAt is when the outcome first went out whole; zero is not yet.
	FinalSeenAt time.Time

	// FinalPolls counts the polls that it went out to.
	FinalPolls int

	// Removes counts the removals that arrived, those that met a fault too.
	Removes int

	// RemovedAt is when one succeeded, though its answer may have been lost; zero
	// is not yet.
	RemovedAt time.Time
}

// session is one identification. Its first fields do not change.
type session struct {
	token          string
	method         string
	controlCode    string
	person         Person
	askedPEPs      bool
	askedSanctions bool

	mu        sync.Mutex
	stats     Snapshot // but for Token and Method
	forgotten bool
}

// begin starts the session, and rolls when the person will act.
func (s *session) begin(now time.Time, dice *rand.Rand) {
	s.stats.StartedAt, s.stats.Outcome = now, s.person.Outcome
	if s.stats.Outcome == "" {
		s.stats.Outcome = Confirms
	}
	if s.stats.Outcome == Waits {
		return
	}
	after := s.person.AfterMin
	if spread := s.person.AfterMax - after; spread > 0 {
		after += time.Duration(dice.Int64N(int64(spread) + 1))
	}
	if s.stats.Outcome == NeverAnswers && after == 0 {
		after = neverAnswersAfter
	}
	s.stats.FinalAt = now.Add(after)
}

// arrived counts a call, and returns which of its kind it is.
func (s *session) arrived(call Calls, now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if call == RemoveCalls {
		s.stats.Removes++
		return uint64(s.stats.Removes) //nolint:gosec // a count
	}
	s.stats.Polls++
	switch {
	case s.stats.FirstPollAt.IsZero():
		s.stats.FirstPollAt = now
	case s.stats.FinalSeenAt.IsZero():
		s.stats.MaxPollGap = max(s.stats.MaxPollGap, now.Sub(s.stats.LastPollAt))
	}
	s.stats.LastPollAt = now
	return uint64(s.stats.Polls) //nolint:gosec // a count
}

// state is what a poll finds.
type state int

const (
	gone state = iota
	pending
	final
)

// poll finds out how the session stands. Where the answer will not arrive whole,
// it is lost, and the outcome not seen.
func (s *session) poll(now time.Time, d Dialect, lost bool) (state, Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone(now, d):
		return gone, ""
	case !s.final(now):
		return pending, ""
	}
	if !lost {
		s.stats.FinalPolls++
		if s.stats.FinalSeenAt.IsZero() {
			s.stats.FinalSeenAt = now
		}
	}
	return final, s.stats.Outcome
}

func (s *session) remove(now time.Time, d Dialect) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone(now, d) {
		return false
	}
	s.stats.RemovedAt = now
	return true
}

func (s *session) forget(now time.Time, d Dialect) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := !s.gone(now, d)
	s.forgotten = true
	return known
}

func (s *session) decide(now time.Time, outcome Outcome, d Dialect) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone(now, d) || s.final(now) {
		return false
	}
	s.stats.Outcome, s.stats.FinalAt = outcome, now
	return true
}

// gone reports whether MarkSign knows the session no longer. s is locked.
func (s *session) gone(now time.Time, d Dialect) bool {
	return s.forgotten || !s.stats.RemovedAt.IsZero() ||
		d.Lifetime > 0 && now.Sub(s.stats.StartedAt) > d.Lifetime ||
		d.Readable > 0 && s.final(now) && now.Sub(s.stats.FinalAt) > d.Readable
}

// final reports whether the outcome is there. s is locked.
func (s *session) final(now time.Time) bool {
	return !s.stats.FinalAt.IsZero() && !now.Before(s.stats.FinalAt)
}

func (s *session) snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := s.stats
	snapshot.Token, snapshot.Method = s.token, s.method
	return snapshot
}

// controlCode is four digits.
func controlCode(dice *rand.Rand) string {
	return strconv.Itoa(1000 + dice.IntN(9000))
}
