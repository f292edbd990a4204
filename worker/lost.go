package worker

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	sess "github.com/identwatch/identwatch/internal/session"
)

// A record is written before any task that goes on with the session, and is kept
// for longer. So a Redis that lost its last writes lost the task first, and a task
// of webhook:deliver or session:remove whose record is missing means that Redis
// evicted the record, or that somebody deleted it. The session has had its
// outcome then: to follow it again could end in another one.

// errRecordLost is what the operator reads at the archived task.
var errRecordLost = errors.New("the session's record in Redis is lost: see the worker's log and docs/reliability.md")

// wentFurther reports whether a task proves that the session had its outcome.
func (w *Worker) wentFurther(ctx context.Context, job sess.Job) (bool, error) {
	return lease.AnyKnows(ctx, w.further, job.ID())
}

// recordLost ends a task whose record is missing, loudly. A task of
// webhook:deliver or session:remove is archived, so that an operator sees it, and
// so that the session is not followed again while it is there.
func (w *Worker) recordLost(t *asynq.Task, job sess.Job) error {
	w.metrics.recordsLost.WithLabelValues(job.Account).Inc()
	w.log.Error("the session's record in Redis is lost; it is not followed again, because another outcome could come of it",
		"session", job.ID(), "task", t.Type())
	if err := writeResult(t, outcome.Record{}); err != nil {
		return err
	}
	if t.Type() == queue.TypeFollow {
		return nil
	}
	return errors.Join(errRecordLost, asynq.SkipRetry)
}

// salvage makes the record of a delivery again from its sealed result, which Redis
// may have kept, so that the same event is posted. It reports whether it did.
func (d delivery) salvage(ctx context.Context) (bool, error) {
	result, err := d.records.Salvage(ctx, outcome.Of(d.job))
	switch {
	case errors.Is(err, outcome.ErrSealMissing):
		return false, nil
	case err != nil && !outcome.IsSealError(err):
		return false, err
	case err != nil:
		d.log.Error("the sealed result of a lost record cannot be opened", "session", d.job.ID(), "error", err)
		return false, nil
	}
	change, err := d.records.SealHanded(ctx, outcome.Of(d.job), result, errSalvaged.Error())
	if change.Applied {
		d.log.Warn("the session's record in Redis was lost; it was made again from the sealed result", "session", d.job.ID())
	}
	return change.Applied, err
}

var errSalvaged = errors.New("the session's record was lost, and made again from its sealed result")

// revive makes sure that somebody goes on with a session whose record stands
// further back than its task, as when Redis lost a note.
func (w *Worker) revive(ctx context.Context, job sess.Job, r outcome.Record) error {
	switch r.State {
	case outcome.Following, outcome.Sealed:
		return w.tasks.EnsureFollow(ctx, job)
	case outcome.Handed:
		return w.tasks.EnsureDelivery(ctx, job, 0)
	}
	return nil
}
