package remove

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

const (
	// sharePause is before a task is looked at again whose account has its share of
	// the DELETEs.
	sharePause = 2 * time.Second
	// replicaPause is before it is looked again whether a replica has the note.
	replicaPause = 5 * time.Second
	// keptPause is at most between two looks whether a session is still kept at
	// MarkSign: the window may have been changed since.
	keptPause = time.Hour
	// deliveryPause is before it is looked again whether the event was delivered.
	deliveryPause = 30 * time.Second
)

// Run runs a task of session:remove. The error is what asynq's handler returns.
func (r *Remover) Run(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	if !r.opts.Slots.Take(a.Name()) {
		return taskserver.Wait(sharePause+upTo(sharePause), "as many removals of the account are under way as its share allows")
	}
	defer r.opts.Slots.GiveBack(a.Name())
	switch o := r.Attempt(ctx, a, job); o.Verdict {
	case Removed, GivenUp:
		return r.opts.Settler.End(ctx, t, job, o.Record)
	case Retry:
		return taskserver.Retry(o.After, "removing the session failed: "+o.Detail)
	case Forbidden:
		return r.forbidden(ctx, t, job, o.Record)
	case Rejected:
		return r.postpone(ctx, t, job)
	case NotReplicated:
		return taskserver.Wait(replicaPause, WhyNotReplicated)
	default:
		return taskserver.NoRedis()
	}
}

// postpone leaves the DELETE for when MarkSign accepts the account's access token
// again, however long that is: rejected ones do not count.
func (r *Remover) postpone(ctx context.Context, t *asynq.Task, job session.Job) error {
	record, err := r.opts.Records.Keep(ctx, outcome.Of(job))
	switch {
	case err != nil:
		return taskserver.NoRedis()
	case record.State == outcome.None || !record.State.MayRemove() || record.Removal.IsOver():
		return r.forbidden(ctx, t, job, record)
	}
	return taskserver.Wait(account.RejectedPause(), WhyRejected)
}

// forbidden ends the task if there is nothing left to remove. It waits if the note
// is too new, or if the event is still to be delivered: then Redis lost the note.
func (r *Remover) forbidden(ctx context.Context, t *asynq.Task, job session.Job, record outcome.Record) error {
	switch {
	case record.State == outcome.None, record.State.MayRemove() && record.Removal.IsOver():
		return r.opts.Settler.End(ctx, t, job, record)
	case record.State.MayRemove() && record.IsKept():
		return taskserver.Wait(min(record.RemovalLeft(), keptPause)+time.Second, "the session is "+WhyKept)
	case record.State.MayRemove():
		return taskserver.Wait(record.RemovalLeft()+time.Second, "the session was ended a moment ago")
	}
	if err := r.opts.Settler.Revive(ctx, job, record); err != nil {
		return taskserver.NoRedis()
	}
	return taskserver.Wait(deliveryPause, "the event is to be delivered before the session is removed")
}
