package worker

import (
	"context"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// open returns the event to post. One that cannot be opened, because its key is
// lost or Redis changed it, is made anew from the same outcome where MarkSign
// still tells it, and sealed again.
func (w *Worker) open(ctx context.Context, a *account.Account, job session.Job, r outcome.Record, claimant string) (outcome.Result, error) {
	result, err := w.records.Open(outcome.Of(job), r)
	if err == nil {
		return result, nil
	}
	w.log.Error("the sealed result cannot be opened", "session", job.ID(), "error", err)
	again, same := w.remake(ctx, a, job, r)
	if !same {
		return outcome.Result{}, err
	}
	if change, resealing := w.records.Reseal(ctx, outcome.Of(job), again, claimant); resealing != nil || !change.Applied {
		return outcome.Result{}, err
	}
	w.log.Warn("the result was made anew from the same outcome, and sealed again", "session", job.ID())
	return again, nil
}

// remake makes the event of a record anew. It returns false where MarkSign does
// not tell, or tells another story than the record.
func (w *Worker) remake(ctx context.Context, a *account.Account, job session.Job, r outcome.Record) (outcome.Result, bool) {
	if !a.Believes(job) {
		w.taker.Refuse(a, job) // the delivery goes on by its own schedule
		return outcome.Result{}, false
	}
	e := event.Ending{Job: job, Polls: r.Polls, At: r.EventTime}
	if event.IsOwn(r.Reason) {
		result, err := e.Own(r.Reason)
		return result, err == nil && result.Type == r.Type
	}
	ctx, cancel := context.WithTimeout(ctx, w.opts.DeliveryTimeout/2)
	defer cancel()
	if err := w.poller.AwaitRate(ctx); err != nil {
		return outcome.Result{}, false
	}
	permit, _ := a.Permit()
	defer permit.Release()
	result, err := e.Answered(permit.Status(ctx, job))
	return result, err == nil && result.Type == r.Type && result.Reason == r.Reason
}
