package account

import (
	"context"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/session"
)

// Permit is the right to one call to MarkSign. It is for one goroutine.
type Permit struct {
	account *Account
	done    func(error) // of the circuit; nil once it was told, and if it allowed nothing
}

func sessionOf(job session.Job) marksign.Session {
	return marksign.Session{Token: job.Token, Method: marksign.Method(job.Method), Locale: job.Locale}
}

// Status asks once how a session stands, and tells the circuit.
func (p *Permit) Status(ctx context.Context, job session.Job) marksign.Answer {
	answer := p.account.client.Status(ctx, sessionOf(job))
	switch {
	case answer.AccessRejected():
		p.tell(ErrRejected)
	case answer.Verdict == marksign.Temporary, answer.Verdict == marksign.Rejected:
		p.tell(errNoWord)
	default:
		p.tell(nil)
	}
	return answer
}

// Remove asks once to remove a session, and tells the circuit.
func (p *Permit) Remove(ctx context.Context, job session.Job) marksign.RemoveAnswer {
	answer := p.account.client.Remove(ctx, sessionOf(job))
	switch answer.Verdict {
	case marksign.RemoveRejected:
		p.tell(ErrRejected)
	case marksign.Removed:
		p.tell(nil)
	default: // an error of a removal has no documented code
		p.tell(errNoWord)
	}
	return answer
}

// Release gives the permit back. It may be called after a call.
func (p *Permit) Release() { p.tell(errNoWord) }

func (p *Permit) tell(word error) {
	if p.done != nil {
		p.done(word)
		p.done = nil
	}
}
