package poll

import (
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
)

const (
	// notFoundGrace is for how long a new session may be unknown to MarkSign.
	notFoundGrace = 5 * time.Second
	// certificateTries is how often a certificate that took too long is waited for.
	certificateTries = 3
)

// judge says whether an answer is final, and else how long to pause. The final
// verdicts are Identified, Refused, Expired and Failed; NotFound,
// CertificateTimeout and Unusable become final when their grace is used up.
func (p *Poller) judge(s *State, a marksign.Answer) (pause time.Duration, final bool) {
	switch a.Verdict {
	case marksign.Pending:
		p.warnUnknownStatus(s, a)
		s.answered, s.trouble, s.troubled, s.unusables = true, nil, marksign.Pending, 0
		return p.opts.Pace.after(time.Since(s.start)), false
	case marksign.NotFound:
		return time.Second, !s.mayAppear()
	case marksign.CertificateTimeout:
		s.certificates++
		return s.backOff(a), s.certificates > certificateTries
	case marksign.Unusable:
		s.answered = true
		s.unusable, s.unusables = a.Detail, s.unusables+1
		return s.backOff(a), s.unusables >= unusableTries
	case marksign.Rejected:
		p.rejections.Do(func() {
			p.opts.Log.Warn("MarkSign rejects a poll because of the access token or the account's configuration; it is tried again",
				"session", s.job.ID(), "code", a.Code, "detail", a.Detail)
		})
		return s.backOff(a), false
	case marksign.Temporary:
		if wasOK(a) {
			s.answered, s.unusable, s.unusables = true, a.Detail, s.unusables+1
		}
		p.opts.Log.Debug("MarkSign is in trouble", "session", s.job.ID(), "code", a.Code, "detail", a.Detail)
		return s.backOff(a), false
	}
	return 0, true
}

func (p *Poller) warnUnknownStatus(s *State, a marksign.Answer) {
	if a.Detail == "" || s.warned {
		return
	}
	s.warned = true
	p.opts.Log.Warn("MarkSign answered a status that is not known; the session is still followed", "session", s.job.ID(), "detail", a.Detail)
}
