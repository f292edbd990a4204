package deliver

import (
	"context"

	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/outcome"
)

// open returns the event to post. If it cannot be opened, because its key is lost or
// Redis changed it, it is made again from the same outcome if MarkSign still tells it,
// and sealed again.
func (d *Deliverer) open(ctx context.Context, t try, r outcome.Record) (outcome.Result, error) {
	result, err := d.opts.Records.Open(outcome.Of(t.job), r)
	if err == nil {
		return result, nil
	}
	d.opts.Log.Error("the sealed result cannot be opened", "session", t.job.ID(), "error", err)
	again, same := d.remake(ctx, t, r)
	if !same {
		return outcome.Result{}, err
	}
	if change, resealing := d.opts.Records.Reseal(ctx, outcome.Of(t.job), again, t.claimant); resealing != nil || !change.Applied {
		return outcome.Result{}, err
	}
	d.opts.Log.Warn("the result was made again from the same outcome, and sealed again", "session", t.job.ID())
	return again, nil
}

// remake makes the event of a record again. It returns false if MarkSign does not
// tell, or tells another story than the record.
func (d *Deliverer) remake(ctx context.Context, t try, r outcome.Record) (outcome.Result, bool) {
	if !t.account.Believes(t.job) {
		d.opts.Unsigned(t.account, t.job) // the delivery goes on by its own schedule
		return outcome.Result{}, false
	}
	e := event.Ending{Job: t.job, Polls: r.Polls, At: r.EventTime}
	if event.IsOwn(r.Reason) {
		result, err := e.Own(r.Reason)
		return result, err == nil && result.Type == r.Type
	}
	ctx, cancel := context.WithTimeout(ctx, d.opts.Timeout/2)
	defer cancel()
	if err := d.opts.AwaitPoll(ctx); err != nil {
		return outcome.Result{}, false
	}
	permit, _ := t.account.Permit()
	defer permit.Release()
	result, err := e.Answered(permit.Status(ctx, t.job))
	return result, err == nil && result.Type == r.Type && result.Reason == r.Reason
}
