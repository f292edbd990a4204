package worker

import (
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	sess "github.com/identwatch/identwatch/internal/session"
)

// session is a followed session in memory. While a pool has its step in hand, that
// goroutine alone touches it.
type session struct {
	sess.Job
	account  *account
	id       string
	receiver string  // of its event, as hosts name it
	claimant string  // of its posts
	permit   *permit // of the post that is under way
	refused  refusal // why its first post was not made
	// refusedFor is for how long the host's open circuit wants no post; else zero.
	refusedFor time.Duration

	start    time.Time // what the pace counts from
	deadline time.Time

	polls        int
	answered     bool                        // MarkSign knew the session
	notFound     time.Time                   // since when it did not
	certificates int                         // answers that the certificate took too long
	unusables    int                         // ok answers that could not be used, since the last good answer
	unusable     string                      // what was wrong with the last of them
	trouble      *backoff.ExponentialBackOff // nil while all is well
	troubled     marksign.Verdict            // the last answer, where it was no good one
	cause        string                      // of the last trouble that is in the record
	warned       bool                        // of a status that is not known
	held         bool                        // its last poll was not made, for the account is rejected

	result *outcome.Result // final, and not known to be delivered
	final  time.Time       // when the result was known here
	defect bool            // its removal cannot be done here
}

func (s *session) record() outcome.Session { return outcome.Of(s.Job) }

// newSession is the session of a task, as its record says it stands.
func (w *Worker) newSession(job sess.Job, a *account, r outcome.Record) *session {
	current := time.Now()
	age := max(r.Now.Sub(r.Started), 0) // Redis's clock may have stepped back
	s := &session{
		Job: job, account: a, id: job.ID(), receiver: a.receiver(job),
		claimant: fmt.Sprintf("%s.%d", w.holder, w.claims.Add(1)),
		start:    current.Add(-age), deadline: current.Add(w.opts.SessionTimeout - age),
		unusables: r.Unusables, unusable: r.Unusable, answered: r.Unusables > 0,
	}
	if begun := job.StartedAt; !begun.IsZero() && begun.Before(s.start) {
		s.start = begun
	}
	return s
}
