package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	sess "github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

const (
	maxRemoveTimeout = 10 * time.Second
	// removeRefusals is how often MarkSign's error body is not taken for an
	// answer: once, and three times more.
	removeRefusals = 4
	// removeWindow is for how long a DELETE is tried.
	removeWindow = 24 * time.Hour
	// removeSharePause is before a task of session:remove is looked at again whose
	// account has its share of the DELETEs.
	removeSharePause = 2 * time.Second
	// replicaPatience is for how long a note is waited for to be on a replica.
	replicaPatience = time.Second
)

// removeTimeout bounds one DELETE, so that a stop need not cut it off: what became
// of it would not be known.
func (w *Worker) removeTimeout() time.Duration {
	return min(maxRemoveTimeout, w.opts.ShutdownTimeout-claimMargin)
}

// removal is what came of one try to remove a session at MarkSign.
type removal struct {
	allowed bool // the note was read back, and the DELETE went out
	record  outcome.Record
	answer  marksign.RemoveAnswer
}

func (r removal) failed() outcome.FailedRemoval {
	return outcome.FailedRemoval{Why: r.answer.Detail, Sent: true, Refused: r.answer.Verdict == marksign.RemoveRefused}
}

// tryRemoval reads the note back that allows the DELETE, and sends it once. It
// returns errRejected, and does nothing, where MarkSign would refuse it now.
func (w *Worker) tryRemoval(ctx context.Context, a *account, job sess.Job) (removal, error) {
	permit, wait := a.permit()
	defer permit.release()
	if wait > 0 {
		return removal{}, errRejected
	}
	session := outcome.Of(job)
	waitFor, err := w.replicas.waitFor(ctx, w.records)
	if err != nil {
		return removal{}, err
	}
	change, err := w.records.Removing(ctx, session, waitFor)
	if err != nil || !change.Applied {
		return removal{record: change.Record}, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.removeTimeout())
	defer cancel()
	answer := a.upstream.Remove(ctx, marksign.Session{Token: job.Token, Method: marksign.Method(job.Method), Locale: job.Locale})
	permit.reportRemoval(answer)
	if answer.Verdict != marksign.Removed {
		w.metrics.removals.WithLabelValues(a.name, resultFailed).Inc()
	}
	return removal{true, change.Record, answer}, nil
}

// removeStep removes the session at MarkSign; what fails goes to session:remove.
func (w *Worker) removeStep(ctx context.Context, s *session) follow.Next {
	if s.defect {
		return w.handRemoval(s, removal{}, errDefect)
	}
	try, err := w.tryRemoval(ctx, s.account, s.Job)
	if err == nil && try.answer.Verdict == marksign.RemoveRejected {
		err = errRejected
	}
	if err != nil && !errors.Is(err, outcome.ErrNotReplicated) && !errors.Is(err, errRejected) {
		w.log.Error("reading a note back failed", "session", s.id, "error", err)
		return follow.In(redisPause, removing{w, s})
	}
	if err == nil && !try.allowed && try.record.IsKept() {
		err = errKept
	}
	if err == nil && !try.allowed {
		return w.resume(ctx, s, try.record)
	}
	if err == nil && try.answer.Verdict == marksign.Removed {
		w.note("noting a removal", func(ctx context.Context) error {
			_, err := w.records.EndRemoval(ctx, s.record(), outcome.Removed)
			return err
		})
		w.metrics.removals.WithLabelValues(s.account.name, string(outcome.Removed)).Inc()
		return follow.End()
	}
	return w.handRemoval(s, try, err)
}

var errDefect = errors.New("a defect in identwatch: see the worker's log")

// handRemoval notes why a DELETE failed, and then leaves the next to
// session:remove. Whoever finds the note without the task makes the task.
func (w *Worker) handRemoval(s *session, try removal, cause error) follow.Next {
	failed := try.failed()
	if cause != nil {
		failed = outcome.FailedRemoval{Why: cause.Error()}
	}
	var change outcome.Change
	w.note("noting that a removal failed", func(ctx context.Context) (err error) {
		change, err = w.records.FailRemoval(ctx, s.record(), failed)
		return err
	})
	if !change.Applied {
		return follow.End() // another worker removed it meanwhile
	}
	after := retryPause(change.Record.Removals, try.answer.RetryAfter)
	w.note("enqueueing a removal", func(ctx context.Context) error { return w.tasks.EnsureRemoval(ctx, s.Job, after) })
	return follow.End()
}

// remove runs the task session:remove.
func (w *Worker) remove(ctx context.Context, t *asynq.Task) error {
	job, err := w.decode(t)
	if err != nil {
		return err
	}
	account := w.accounts.of(job)
	if account == nil {
		return w.waitForAccount(ctx, job)
	}
	if !w.removing.Take(account.name) {
		return &pause{removeSharePause + upTo(removeSharePause), "waiting: as many removals of the account are under way as its share allows; no failure", false}
	}
	defer w.removing.GiveBack(account.name)
	try, err := w.tryRemoval(ctx, account, job)
	switch {
	case errors.Is(err, errRejected):
		return w.postponeRemoval(ctx, t, job)
	case errors.Is(err, outcome.ErrNotReplicated):
		return &pause{5 * time.Second, "waiting: " + err.Error(), false}
	case err != nil:
		w.log.Error("reading a note back failed", "session", job.ID(), "error", err)
		return errRedis()
	case !try.allowed:
		return w.notRemovable(ctx, t, job, try.record)
	case try.answer.Verdict == marksign.RemoveRejected:
		return w.postponeRemoval(ctx, t, job)
	}
	return w.noteRemoval(ctx, t, job, try)
}

// postponeRemoval leaves the DELETE for when MarkSign takes the account's access
// token again, however long that is: rejected ones do not count.
func (w *Worker) postponeRemoval(ctx context.Context, t *asynq.Task, job sess.Job) error {
	r, err := w.records.Keep(ctx, outcome.Of(job))
	switch {
	case err != nil:
		return errRedis()
	case r.State == outcome.None || !r.State.MayRemove() || r.Removal == outcome.Removed || r.Removal == outcome.RemovedUnknown:
		return w.notRemovable(ctx, t, job, r)
	}
	return &pause{rejectedPause + upTo(rejectedPause), "waiting: " + errRejected.Error() + "; no failure", false}
}

// notRemovable ends the task where there is nothing to remove any more, and
// waits where the note is too new, or the event is still to be delivered: then
// Redis lost the note.
func (w *Worker) notRemovable(ctx context.Context, t *asynq.Task, job sess.Job, r outcome.Record) error {
	ended := r.Removal == outcome.Removed || r.Removal == outcome.RemovedUnknown
	switch {
	case r.State == outcome.None, r.State.MayRemove() && ended:
		return w.endSession(ctx, t, job, r)
	case r.State.MayRemove() && r.IsKept():
		return &pause{min(r.RemovalLeft(), keptPause) + time.Second, "waiting: the session is " + errKept.Error() + "; no failure", false}
	case r.State.MayRemove():
		return &pause{r.RemovalLeft() + time.Second, "waiting: the session was ended a moment ago; no failure", false}
	}
	if err := w.revive(ctx, job, r); err != nil {
		return errRedis()
	}
	return &pause{30 * time.Second, "waiting: the event is to be delivered before the session is removed; no failure", false}
}

// noteRemoval ends the task, or asks for another DELETE.
func (w *Worker) noteRemoval(ctx context.Context, t *asynq.Task, job sess.Job, try removal) error {
	if try.answer.Verdict == marksign.Removed {
		return w.endRemoval(ctx, t, job, outcome.Removed)
	}
	var change outcome.Change
	noted := w.note("noting that a removal failed", func(ctx context.Context) (err error) {
		change, err = w.records.FailRemoval(ctx, outcome.Of(job), try.failed())
		return err
	})
	switch {
	case !noted:
		return errRedis()
	case !change.Applied: // somebody removed it meanwhile, or Redis lost the note that allows it
		return w.notRemovable(ctx, t, job, change.Record)
	}
	record := change.Record
	left := removeWindow - record.Now.Sub(record.RemoveBegun)
	if record.Refusals >= removeRefusals || left < time.Second {
		level := slog.LevelError
		if record.Reason == webhook.ReasonNotFound {
			level = slog.LevelInfo // MarkSign knew no such session
		}
		w.log.Log(ctx, level, "the session could not be removed at MarkSign; it is tried no more", "session", job.ID(), "detail", try.answer.Detail)
		return w.endRemoval(ctx, t, job, outcome.RemovedUnknown)
	}
	after := min(retryPause(record.Removals, try.answer.RetryAfter), left+time.Second)
	return &pause{after, "removing the session failed: " + try.answer.Detail, true}
}

func (w *Worker) endRemoval(ctx context.Context, t *asynq.Task, job sess.Job, how outcome.Removal) error {
	var change outcome.Change
	noted := w.note("noting the end of a removal", func(ctx context.Context) (err error) {
		change, err = w.records.EndRemoval(ctx, outcome.Of(job), how)
		return err
	})
	if !noted {
		return errRedis()
	}
	w.metrics.removals.WithLabelValues(w.accounts.of(job).name, string(how)).Inc()
	return w.endSession(ctx, t, job, change.Record)
}

// replicas remembers for a moment whether Redis has any. It is safe for
// concurrent use; no lock is held while Redis is asked.
type replicas struct {
	mu    sync.Mutex
	until time.Time
	any   bool
}

// waitFor is how long a note is to be waited for on a replica; zero where
// there is none.
func (r *replicas) waitFor(ctx context.Context, records *outcome.Store) (time.Duration, error) {
	known, has := r.recall()
	if !known {
		n, err := records.Replicas(ctx)
		if err != nil {
			return 0, err
		}
		has = n > 0
		r.remember(has)
	}
	if has {
		return replicaPatience, nil
	}
	return 0, nil
}

func (r *replicas) recall() (known, has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until), r.any
}

func (r *replicas) remember(has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.any, r.until = has, time.Now().Add(time.Second)
}
