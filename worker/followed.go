package worker

import (
	"fmt"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// followed is a session in memory. While a pool has its step in hand, that
// goroutine alone touches it.
type followed struct {
	Job      session.Job
	account  *account.Account
	id       string
	receiver string  // of its event, as hosts name it
	claimant string  // of its posts
	permit   *permit // of the post that is under way
	refused  refusal // why its first post was not made
	// refusedFor is for how long the host's open circuit wants no post; else zero.
	refusedFor time.Duration

	result *outcome.Result // final, and not known to be delivered
	final  time.Time       // when the result was known here
}

func (s *followed) record() outcome.Session { return outcome.Of(s.Job) }

func (w *Worker) newFollowed(job session.Job, a *account.Account) *followed {
	return &followed{
		Job: job, account: a, id: job.ID(), receiver: a.Receiver(job),
		claimant: fmt.Sprintf("%s.%d", w.holder, w.claims.Add(1)),
	}
}
