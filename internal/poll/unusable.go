package poll

import (
	"context"

	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// unusableTries is how often an ok that cannot be used is asked for, over about
// half a minute: an intermediary may have spoilt the answer, and a final result
// stays readable for minutes only.
const unusableTries = 6

// wasOK reports whether MarkSign said ok in an answer that cannot be used. An
// answer that broke off is asked for until the deadline, and then decides too.
func wasOK(a marksign.Answer) bool { return a.Verdict == marksign.Unusable || a.Salvage != nil }

// noteUnusable keeps an ok that cannot be used, sealed, and the fact that there was
// one, because another worker may have to report it. It returns false if Redis did
// not take it: then the answer counts for nothing.
func (p *Poller) noteUnusable(ctx context.Context, s *State, a marksign.Answer) bool {
	if !wasOK(a) {
		return true
	}
	var body []byte
	if a.Salvage != nil {
		body = a.Salvage.Body
	}
	if _, err := p.opts.Records.NoteUnusable(ctx, outcome.Of(s.job), p.opts.Holder, a.Detail, body); err != nil {
		p.opts.Log.Error("noting an answer that cannot be used failed", "session", s.job.ID(), "error", err)
		return false
	}
	return true
}

// isUnusable reports whether a session ends because MarkSign answered ok, and no
// answer could be used. ends says that it ends with this answer. If MarkSign no
// longer knows the session, its result can no longer be read. Whatever else
// MarkSign says stands.
func (s *State) isUnusable(a marksign.Answer, ends bool) bool {
	if s.unusables == 0 {
		return false
	}
	switch a.Verdict {
	case marksign.NotFound:
		return true
	case marksign.Unusable, marksign.Temporary, marksign.Rejected, marksign.CertificateTimeout:
		return ends
	}
	return false
}

// concludeUnusable ends a session with an outcome of its own: it is our trouble or
// MarkSign's, and not the person's.
func (p *Poller) concludeUnusable(s *State) Outcome {
	p.opts.Metrics.Unusable.WithLabelValues(s.account.Name()).Inc()
	p.opts.Log.Error("MarkSign answered ok, but no answer could be used; the session fails, and stays at MarkSign for the redelivery window: look at it with 'identwatch answer'",
		"session", s.job.ID(), "detail", s.unusable, "answers", s.unusables)
	return p.conclude(s, func(e event.Ending) (outcome.Result, error) { return e.Own(webhook.ReasonUnusableAnswer) })
}
