package worker

import (
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// unusableTries is how often an ok that cannot be used is asked for, over about
// half a minute: an intermediary may have spoilt the answer, and a final result
// stays readable for minutes only.
const unusableTries = 6

// isUnusable reports whether a session ends because MarkSign answered ok, and no
// answer could be used. ends says that it ends with this answer. A session that
// MarkSign knows no longer is one whose result is not readable any more. What
// MarkSign says otherwise stands.
func (s *session) isUnusable(a marksign.Answer, ends bool) bool {
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
func (f *follower) concludeUnusable(s *session) next {
	f.metrics.unusable.WithLabelValues(s.account.name).Inc()
	f.log.Error("MarkSign answered ok, but no answer could be used; the session fails",
		"session", s.id, "detail", s.unusable, "answers", s.unusables)
	return f.conclude(s, func() (outcome.Result, error) {
		return s.ending().own(webhook.ReasonUnusableAnswer)
	})
}
