// Package remove deletes sessions at MarkSign: one DELETE at a time, after the
// record allows it, with a typed outcome that says what follows. The follower's
// step and the handler of session:remove make the same attempt.
//
// Read remove.go (one attempt), schedule.go (the pauses), handler.go (a task of
// session:remove), handover.go (a first removal that session:remove has to make),
// replicas.go (whether a note must be on a replica first).
package remove

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/fair"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/webhook"
)

const (
	maxTimeout = 10 * time.Second
	// maxRefusals is how often MarkSign's error body is not taken for an answer:
	// once, and three times more.
	maxRefusals = 4
	// window is for how long a DELETE is tried.
	window = 24 * time.Hour
)

// ResultFailed is the label of a DELETE that did not remove.
const ResultFailed = "failed"

// Options say how a Remover works. All are required.
type Options struct {
	Records *outcome.Store
	Tasks   queue.List
	Settler *settle.Settler
	Notes   insist.Notes
	Slots   *fair.Slots // of the runs of session:remove
	// Timeout bounds one DELETE, up to 10 s. A stop must not cut it off, because
	// then nobody would know what became of it.
	Timeout  time.Duration
	Removals *prometheus.CounterVec // account, result
	Log      *slog.Logger
}

// Remover removes sessions. It is safe for concurrent use.
type Remover struct {
	opts     Options
	replicas replicas
}

// New makes a Remover.
func New(opts Options) *Remover {
	opts.Timeout = min(opts.Timeout, maxTimeout)
	return &Remover{opts: opts}
}

// Verdict says what an attempt came to.
type Verdict int

// The verdicts.
const (
	Removed       Verdict = iota // MarkSign said so, and it is noted
	GivenUp                      // MarkSign never said so; it is tried no more, and that is noted
	Retry                        // MarkSign did not say so; that is noted, and After is the pause
	Forbidden                    // the record does not allow it; nothing was sent
	Rejected                     // MarkSign rejects the account; nothing is noted
	NotReplicated                // no replica has the note that allows it; nothing was sent
	Trouble                      // Redis did not take part; try again soon
)

// Outcome is what an attempt came to.
type Outcome struct {
	Verdict Verdict
	Record  outcome.Record // with Removed, GivenUp and Forbidden
	After   time.Duration  // with Retry
	Detail  string         // what failed, with Retry; nothing personal
}

// Attempt reads the note back that allows the DELETE, sends it once, and notes the
// answer.
func (r *Remover) Attempt(ctx context.Context, a *account.Account, job session.Job) Outcome {
	permit, wait := a.Permit()
	defer permit.Release()
	if wait > 0 {
		return Outcome{Verdict: Rejected}
	}
	allowed, err := r.allowed(ctx, job)
	switch {
	case errors.Is(err, outcome.ErrNotReplicated):
		return Outcome{Verdict: NotReplicated}
	case err != nil:
		r.opts.Log.Error("reading a note back failed", "session", job.ID(), "error", err)
		return Outcome{Verdict: Trouble}
	case !allowed.Applied:
		return Outcome{Verdict: Forbidden, Record: allowed.Record}
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	answer := permit.Remove(ctx, job)
	if answer.Verdict == marksign.Removed {
		return r.end(a, job, Removed, outcome.Removed)
	}
	r.opts.Removals.WithLabelValues(a.Name(), ResultFailed).Inc()
	if answer.Verdict == marksign.RemoveRejected {
		return Outcome{Verdict: Rejected}
	}
	return r.noteFailure(a, job, answer)
}

// allowed reads the note back, from a replica too if there is one.
func (r *Remover) allowed(ctx context.Context, job session.Job) (outcome.Change, error) {
	waitFor, err := r.replicas.waitFor(ctx, r.opts.Records, outcome.Of(job))
	if err != nil {
		return outcome.Change{}, err
	}
	return r.opts.Records.Removing(ctx, outcome.Of(job), waitFor)
}

func (r *Remover) noteFailure(a *account.Account, job session.Job, answer marksign.RemoveAnswer) Outcome {
	change, noted := r.noteFailed(job, outcome.FailedRemoval{
		Why: answer.Detail, Sent: true, Refused: answer.Verdict == marksign.RemoveRefused,
	})
	switch {
	case !noted:
		return Outcome{Verdict: Trouble}
	case !change.Applied: // somebody removed it meanwhile, or Redis lost the note that allows it
		return Outcome{Verdict: Forbidden, Record: change.Record}
	}
	left := window - change.Record.Now.Sub(change.Record.RemoveBegun)
	if change.Record.Refusals >= maxRefusals || left < time.Second {
		r.logGivenUp(job, change.Record, answer.Detail)
		return r.end(a, job, GivenUp, outcome.RemovedUnknown)
	}
	return Outcome{Verdict: Retry, After: min(pause(change.Record.Removals, answer.RetryAfter), left+time.Second), Detail: answer.Detail}
}

func (r *Remover) noteFailed(job session.Job, f outcome.FailedRemoval) (change outcome.Change, noted bool) {
	noted = r.opts.Notes.Write("noting that a removal failed", func(ctx context.Context) (err error) {
		change, err = r.opts.Records.FailRemoval(ctx, outcome.Of(job), f)
		return err
	})
	return change, noted
}

func (r *Remover) logGivenUp(job session.Job, record outcome.Record, detail string) {
	log := r.opts.Log.Error
	if record.Reason == webhook.ReasonNotFound {
		log = r.opts.Log.Info // MarkSign knew no such session
	}
	log("the session could not be removed at MarkSign; it is tried no more", "session", job.ID(), "detail", detail)
}

// end notes how the removal ended.
func (r *Remover) end(a *account.Account, job session.Job, verdict Verdict, how outcome.Removal) Outcome {
	var change outcome.Change
	noted := r.opts.Notes.Write("noting the end of a removal", func(ctx context.Context) (err error) {
		change, err = r.opts.Records.EndRemoval(ctx, outcome.Of(job), how)
		return err
	})
	if !noted {
		return Outcome{Verdict: Trouble}
	}
	r.opts.Removals.WithLabelValues(a.Name(), string(how)).Inc()
	return Outcome{Verdict: verdict, Record: change.Record}
}
