// Package poll asks MarkSign how a session stands, once at a time, and says what
// comes next: another poll, or the session's outcome. It owns the pace, the
// backoff, and the rules for answers that may not be final yet. It never posts an
// event, and it does not know when or by whom a poll is made.
//
// Read poll.go (one poll, from the question to what follows), state.go (what is
// remembered of a session between polls), judge.go (what each answer means),
// unusable.go (an ok that nobody can read), pace.go and backoff.go (the pauses).
package poll

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// Metrics are what polls count, by account.
type Metrics struct {
	Polls    *prometheus.CounterVec   // account, answer
	Seconds  *prometheus.HistogramVec // account
	RateWait prometheus.Counter
	Unusable *prometheus.CounterVec // account
}

// Options say how a Poller works. All but Rate are required.
type Options struct {
	Records *outcome.Store
	Holder  string // names this process in the records
	Pace    Pace
	Rate    float64 // polls per second; zero: no bound
	Metrics Metrics
	Log     *slog.Logger
}

// Poller polls. It is safe for concurrent use.
type Poller struct {
	opts       Options
	limit      *rate.Limiter
	rejections rate.Sometimes // bounds the log of rejected polls
}

// New makes a Poller.
func New(opts Options) *Poller {
	limit := rate.NewLimiter(rate.Inf, 1)
	if opts.Rate > 0 {
		limit = rate.NewLimiter(rate.Limit(opts.Rate), max(1, int(opts.Rate/10)))
	}
	return &Poller{opts: opts, limit: limit, rejections: rate.Sometimes{Interval: 10 * time.Second}}
}

// Outcome is what a poll came to. At most one of Final and Unsigned is set; without
// them the session is polled again.
type Outcome struct {
	Final    *outcome.Result
	Unsigned bool      // its task is not signed, so nothing was asked
	Again    time.Time // when to poll again
}

// redisPause is between two tries of a step that Redis did not take.
const redisPause = 500 * time.Millisecond

func again(after time.Duration) Outcome { return Outcome{Again: time.Now().Add(after)} }

// Poll asks MarkSign once. A session is polled once more at its deadline, also if
// its account is rejected, and then it ends.
func (p *Poller) Poll(ctx context.Context, s *State) Outcome {
	if !s.account.Believes(s.job) {
		return Outcome{Unsigned: true} // its record was lost since; the run of its task refuses it
	}
	last := !time.Now().Before(s.deadline)
	permit, wait := s.account.Permit()
	defer permit.Release()
	if s.held = wait > 0; s.held && !last {
		return s.before(wait)
	}
	if err := p.AwaitRate(ctx); err != nil {
		return again(0)
	}
	asked := time.Now()
	answer := permit.Status(ctx, s.job)
	p.count(s, time.Since(asked), answer)
	if ctx.Err() != nil && answer.Verdict == marksign.Temporary {
		return again(0) // cut off by our own stop
	}
	s.account.Saw(answer)
	p.noteTrouble(ctx, s, answer)
	if !p.noteUnusable(ctx, s, answer) {
		return again(redisPause)
	}
	s.polls++
	return p.follows(s, answer, last)
}

// follows says what follows from an answer.
func (p *Poller) follows(s *State, answer marksign.Answer, last bool) Outcome {
	pause, final := p.judge(s, answer)
	switch {
	case s.isUnusable(answer, final || last):
		return p.concludeUnusable(s)
	case final, last && answer.Verdict == marksign.NotFound, last && answer.Verdict == marksign.CertificateTimeout:
		return p.conclude(s, func(e event.Ending) (outcome.Result, error) { return e.Answered(answer) })
	case last:
		return p.conclude(s, func(e event.Ending) (outcome.Result, error) { return e.Own(s.deadlineReason()) })
	}
	return s.before(pause)
}

// AwaitRate waits until the rate allows one more call. The error is that of ctx.
func (p *Poller) AwaitRate(ctx context.Context) error {
	begun := time.Now()
	err := p.limit.Wait(ctx)
	p.opts.Metrics.RateWait.Add(time.Since(begun).Seconds())
	return err
}

func (p *Poller) count(s *State, took time.Duration, a marksign.Answer) {
	p.opts.Metrics.Polls.WithLabelValues(s.account.Name(), a.Verdict.String()).Inc()
	p.opts.Metrics.Seconds.WithLabelValues(s.account.Name()).Observe(took.Seconds())
}

// noteTrouble writes the cause of MarkSign's trouble into the session's record if
// it is another one than before. People read it, so that it is not insisted on.
func (p *Poller) noteTrouble(ctx context.Context, s *State, a marksign.Answer) {
	if a.Verdict != marksign.Temporary && a.Verdict != marksign.Rejected || a.Detail == s.cause {
		return
	}
	if err := p.opts.Records.NoteTrouble(ctx, outcome.Of(s.job), p.opts.Holder, a.Detail); err != nil {
		p.opts.Log.Debug("noting MarkSign's trouble failed", "session", s.job.ID(), "error", err)
		return
	}
	s.cause = a.Detail
}

// conclude makes the session's outcome.
func (p *Poller) conclude(s *State, build func(event.Ending) (outcome.Result, error)) Outcome {
	r, err := build(s.ending())
	if err != nil {
		p.opts.Log.Error("a defect in identwatch: the event could not be made", "session", s.job.ID())
		return p.Defect(s)
	}
	p.opts.Log.Debug("session is final", "session", s.job.ID(), "outcome", r.Type, "reason", r.Reason, "polls", r.Polls)
	return Outcome{Final: &r}
}

// Defect ends a session that cannot be polled because of a defect in identwatch.
func (p *Poller) Defect(s *State) Outcome {
	r, err := s.ending().Own(webhook.ReasonInternal)
	if err != nil {
		return again(time.Minute)
	}
	return Outcome{Final: &r}
}
