package worker

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// unusableTries is how often an ok that cannot be used is asked for, over about
// half a minute: an intermediary may have spoilt the answer, and a final result
// stays readable for minutes only.
const unusableTries = 6

// wasOK reports whether MarkSign said ok in an answer that cannot be used. One that
// broke off is repeated until the deadline, and then decides all the same.
func wasOK(a marksign.Answer) bool { return a.Verdict == marksign.Unusable || a.Salvage != nil }

// noteUnusable keeps an ok that cannot be used, sealed, and the fact that there was
// one: another worker may have to tell of it. It returns false if Redis did not
// take it, and then the answer counts for nothing.
func (w *Worker) noteUnusable(ctx context.Context, s *session, a marksign.Answer) bool {
	if !wasOK(a) {
		return true
	}
	var body []byte
	if a.Salvage != nil {
		body = a.Salvage.Body
	}
	if _, err := w.records.NoteUnusable(ctx, s.record(), w.holder, a.Detail, body); err != nil {
		w.log.Error("noting an answer that cannot be used failed", "session", s.id, "error", err)
		return false
	}
	return true
}

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
func (w *Worker) concludeUnusable(s *session) follow.Next {
	w.metrics.unusable.WithLabelValues(s.account.name).Inc()
	w.log.Error("MarkSign answered ok, but no answer could be used; the session fails, and stays at MarkSign for the redelivery window: look at it with 'identwatch answer'",
		"session", s.id, "detail", s.unusable, "answers", s.unusables)
	return w.conclude(s, func() (outcome.Result, error) {
		return s.ending().own(webhook.ReasonUnusableAnswer)
	})
}

// keptPause is at most between two looks whether a session is kept at MarkSign
// still: the window may have been changed since.
const keptPause = time.Hour

var errKept = errors.New("kept at MarkSign until an operator had the time to look at its answer")

// ErrNoAnswer says that no answer of MarkSign is kept for a session: there was none
// that could not be used, or its time is over.
var ErrNoAnswer = errors.New("no answer is kept: MarkSign sent none that could not be used, or its time is over")

// UnusableAnswer returns what MarkSign answered for a session, as it came, if it
// said ok and could not be used. The keys are the workers' outcome keys, and an
// account of "" is tasks.DefaultAccount. The answer is personal data, and may be of
// somebody else than the session's person: that may be why it could not be used.
//
// The error is a *tasks.ValidationError, ErrNoAnswer, that no key opens the answer,
// or what Redis answered.
func UnusableAnswer(ctx context.Context, rdb redis.UniversalClient, keys [][]byte, account, token string) ([]byte, error) {
	session, err := sessionOf(account, token)
	if err != nil {
		return nil, err
	}
	keyring, err := outcome.NewKeyring(keys...)
	if err != nil {
		return nil, err
	}
	answer, err := outcome.NewStore(outcome.Config{Redis: rdb, Keyring: keyring}).Salvaged(ctx, outcome.Session{ID: session.ID()})
	if errors.Is(err, outcome.ErrSealMissing) {
		return nil, ErrNoAnswer
	}
	return answer, err
}
