package poll

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// State is a session between its polls. It is for one goroutine at a time.
type State struct {
	job      session.Job
	account  *account.Account
	start    time.Time // what the pace counts from
	deadline time.Time

	polls        int
	answered     bool                        // MarkSign knew the session
	notFound     time.Time                   // since when it did not
	certificates int                         // answers that the certificate took too long
	unusables    int                         // ok answers that could not be used, since the last good answer
	unusable     string                      // what was wrong with the last of them
	trouble      *backoff.ExponentialBackOff // nil while all is well
	troubled     marksign.Verdict            // the last answer, if it was no good one
	cause        string                      // of the last trouble that is in the record
	warned       bool                        // of a status that is not known
	held         bool                        // its last poll was not made, because the account is rejected
}

// Begin is a session as its record says it stands. It ends timeout after a worker
// first saw it.
func Begin(job session.Job, a *account.Account, r outcome.Record, timeout time.Duration) *State {
	current := time.Now()
	age := max(r.Now.Sub(r.Started), 0) // Redis's clock may have stepped back
	if r.Started.IsZero() {
		age = 0 // Redis lost the record
	}
	s := &State{
		job: job, account: a, start: current.Add(-age), deadline: current.Add(timeout - age),
		unusables: r.Unusables, unusable: r.Unusable, answered: r.Unusables > 0,
	}
	if begun := job.StartedAt; !begun.IsZero() && begun.Before(s.start) {
		s.start = begun
	}
	return s
}

// Resume is called when MarkSign accepts the account again. It reports whether the
// session waits because the account was rejected, and ends its backoff.
func (s *State) Resume() bool {
	if !s.held && s.troubled != marksign.Rejected {
		return false
	}
	s.trouble = nil
	return true
}

// before polls again after the pause, and at the deadline at the latest.
func (s *State) before(pause time.Duration) Outcome {
	at := time.Now().Add(pause)
	if s.deadline.Before(at) {
		at = s.deadline
	}
	return Outcome{Again: at}
}

func (s *State) ending() event.Ending {
	return event.Ending{Job: s.job, Polls: s.polls, At: time.Now()}
}

// deadlineReason is why a session ends that was not final in time.
func (s *State) deadlineReason() string {
	if s.troubled == marksign.Temporary || s.troubled == marksign.Rejected {
		return webhook.ReasonUnavailable
	}
	return webhook.ReasonDeadline
}

// mayAppear reports whether a session that MarkSign does not know may be too
// new: it was never known, and for less than five seconds.
func (s *State) mayAppear() bool {
	if s.notFound.IsZero() {
		s.notFound = time.Now()
	}
	return !s.answered && time.Since(s.notFound) < notFoundGrace
}

func (s *State) backOff(a marksign.Answer) time.Duration {
	if s.trouble == nil {
		s.trouble = newErrorBackoff()
	}
	s.troubled = a.Verdict
	return max(s.trouble.NextBackOff(), a.RetryAfter)
}
