package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

const (
	// notFoundGrace is for how long a new session may be unknown to MarkSign.
	notFoundGrace = 5 * time.Second
	// certificateTries is how often a certificate that took too long is waited for.
	certificateTries = 3
)

// poll asks MarkSign once.
func (w *Worker) poll(ctx context.Context, s *session) follow.Next {
	if !s.account.vouches(s.Job) {
		return follow.End() // its record was lost since; the run of its task refuses it
	}
	last := !time.Now().Before(s.deadline)
	permit, wait := s.account.permit()
	defer permit.release()
	if s.held = wait > 0; s.held && !last {
		return follow.Next{Step: polling{w, s}, At: earlier(time.Now().Add(wait), s.deadline)}
	}
	if err := w.awaitRate(ctx); err != nil {
		return follow.Now(polling{w, s})
	}
	asked := time.Now()
	answer := s.account.upstream.Status(ctx, marksign.Session{Token: s.Token, Method: marksign.Method(s.Method), Locale: s.Locale})
	permit.report(answer)
	w.metrics.polled(s.account.name, time.Since(asked), answer)
	if ctx.Err() != nil && answer.Verdict == marksign.Temporary {
		return follow.Now(polling{w, s}) // cut off by our own stop
	}
	s.account.trouble.saw(answer, s.account.log)
	w.noteTrouble(ctx, s, answer)
	if !w.noteUnusable(ctx, s, answer) {
		return follow.In(redisPause, polling{w, s})
	}
	s.polls++
	pause, final := w.judge(s, answer)
	switch {
	case s.isUnusable(answer, final || last):
		return w.concludeUnusable(s)
	case final, last && answer.Verdict == marksign.NotFound, last && answer.Verdict == marksign.CertificateTimeout:
		return w.conclude(s, func() (outcome.Result, error) { return s.ending().answered(answer) })
	case last:
		return w.conclude(s, func() (outcome.Result, error) { return s.deadlineResult() })
	}
	return follow.Next{Step: polling{w, s}, At: earlier(time.Now().Add(pause), s.deadline)}
}

// awaitRate waits until POLL_RATE allows a poll.
func (w *Worker) awaitRate(ctx context.Context) error {
	begun := time.Now()
	err := w.pollRate.Wait(ctx)
	w.metrics.rateWait.Add(time.Since(begun).Seconds())
	return err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// judge says whether an answer is final, and else how long to pause. The final
// verdicts are Identified, Refused, Expired and Failed; NotFound,
// CertificateTimeout and Unusable become final when their grace is used up.
func (w *Worker) judge(s *session, a marksign.Answer) (pause time.Duration, final bool) {
	switch a.Verdict {
	case marksign.Pending:
		w.warnUnknownStatus(s, a)
		s.answered, s.trouble, s.troubled, s.unusables = true, nil, marksign.Pending, 0
		return w.opts.Pace.after(time.Since(s.start)), false
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
		w.rejections.Do(func() {
			w.log.Warn("MarkSign rejects a poll because of the access token or the account's configuration; it is tried again",
				"session", s.id, "code", a.Code, "detail", a.Detail)
		})
		return s.backOff(a), false
	case marksign.Temporary:
		if wasOK(a) {
			s.answered, s.unusable, s.unusables = true, a.Detail, s.unusables+1
		}
		w.log.Debug("MarkSign is in trouble", "session", s.id, "code", a.Code, "detail", a.Detail)
		return s.backOff(a), false
	}
	return 0, true
}

// mayAppear reports whether a session that MarkSign does not know may be too
// new for it: it was never known, and for less than five seconds.
func (s *session) mayAppear() bool {
	if s.notFound.IsZero() {
		s.notFound = time.Now()
	}
	return !s.answered && time.Since(s.notFound) < notFoundGrace
}

func (s *session) backOff(a marksign.Answer) time.Duration {
	if s.trouble == nil {
		s.trouble = newErrorBackoff()
	}
	s.troubled = a.Verdict
	return max(s.trouble.NextBackOff(), a.RetryAfter)
}

func (w *Worker) warnUnknownStatus(s *session, a marksign.Answer) {
	if a.Detail == "" || s.warned {
		return
	}
	s.warned = true
	w.log.Warn("MarkSign answered a status that is not known; the session is followed on", "session", s.id, "detail", a.Detail)
}

// ending is what is told of a session that ends now.
func (s *session) ending() ending { return ending{s.Job, s.polls, time.Now()} }

// deadlineResult is the outcome of a session that was not final in time.
func (s *session) deadlineResult() (outcome.Result, error) {
	reason := webhook.ReasonDeadline
	if s.troubled == marksign.Temporary || s.troubled == marksign.Rejected {
		reason = webhook.ReasonUnavailable
	}
	return s.ending().own(reason)
}

// conclude takes the outcome in hand, to be posted.
func (w *Worker) conclude(s *session, build func() (outcome.Result, error)) follow.Next {
	r, err := build()
	if err != nil {
		w.log.Error("a defect in identwatch: the event could not be made", "session", s.id)
		return w.concludeDefect(s)
	}
	s.result, s.final = &r, time.Now()
	w.log.Debug("session is final", "session", s.id, "outcome", r.Type, "reason", r.Reason, "polls", r.Polls)
	return follow.Now(posting{w, s})
}

// concludeDefect ends a session whose poll, or whose event, meets a defect each time.
func (w *Worker) concludeDefect(s *session) follow.Next {
	r, err := s.ending().own(webhook.ReasonInternal)
	if err != nil {
		return follow.In(time.Minute, polling{w, s})
	}
	s.result, s.final = &r, time.Now()
	return follow.Now(posting{w, s})
}
