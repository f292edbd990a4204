package deliver

import (
	"cmp"
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// run is one run of a task of webhook:deliver.
type run struct {
	deliverer *Deliverer
	task      *asynq.Task
	job       session.Job
	account   *account.Account
}

// Run runs a task of webhook:deliver: one attempt, if the event's host has room for
// it. Else the event waits in the host's list, and the task for its fallback. The error
// is what asynq's handler returns.
func (d *Deliverer) Run(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	r := run{d, t, job, a}
	permit, refused := d.opts.Hosts.Acquire(hosts.Event{ID: job.ID(), Account: a.Name(), Host: a.Receiver(job), Kind: hosts.Repeated})
	switch refused {
	case hosts.Granted:
	case hosts.UnderWay:
		return taskserver.Claimed(d.claimTime())
	default:
		return r.postpone(ctx, refused)
	}
	defer permit.Release()
	o := d.attempt(ctx, try{job: job, account: a, claimant: d.newClaimant(), permit: permit})
	permit.Release()
	return r.goOn(ctx, o)
}

// postpone leaves the post for later, if one is still to be made. It uses up no attempt.
func (r run) postpone(ctx context.Context, why hosts.Refusal) error {
	d := r.deliverer
	record, err := d.opts.Records.Keep(ctx, outcome.Of(r.job))
	if err != nil {
		return taskserver.NoRedis()
	}
	left := d.windowLeft(record)
	switch {
	case !record.State.AsksPost():
		return r.end(ctx, record)
	case left < time.Second:
		return r.goOn(ctx, d.giveUp(try{job: r.job, account: r.account, claimant: d.newClaimant()}, cmp.Or(record.LastError, why.String())))
	}
	w := d.waiting(r.job, r.account, record)
	p, fallback := w.turn(left)
	if w.join(p) == hosts.ListClosed {
		fallback = handBackPause
	}
	return taskserver.Wait(fallback, why.String())
}

// goOn does what follows an attempt that the task's run made.
func (r run) goOn(ctx context.Context, o Outcome) error {
	d := r.deliverer
	switch {
	case o.Verdict == Unnoted:
		return taskserver.NoRedis()
	case o.Verdict == Retry:
		w := d.waiting(r.job, r.account, o.Record)
		p, fallback := w.again(o.retry)
		if w.join(p) == hosts.ListClosed && p.NotBefore.IsZero() {
			fallback = min(fallback, handBackPause)
		}
		return taskserver.Retry(fallback, "the callback failed: "+o.retry.why)
	case o.Verdict == Taken && o.Record.State.AsksPost():
		return taskserver.Claimed(o.Record.ClaimLeft(""))
	}
	d.opts.Hosts.Leave(r.job.ID())
	return r.end(ctx, o.Record)
}

// end leaves the removal to session:remove, and ends the task.
func (r run) end(ctx context.Context, record outcome.Record) error {
	d := r.deliverer
	switch {
	case record.State == outcome.None:
		return r.lost(ctx)
	case !record.State.MayRemove():
		if err := d.opts.Settler.Revive(ctx, r.job, record); err != nil {
			return taskserver.NoRedis()
		}
	case !record.Removal.IsOver():
		if err := d.opts.Tasks.EnsureRemoval(ctx, r.job, outcome.RemovalDelay+time.Second); err != nil {
			d.opts.Log.Error("enqueueing a removal failed", "session", r.job.ID(), "error", err)
			return taskserver.NoRedis()
		}
	}
	return d.opts.Settler.End(ctx, r.task, r.job, record)
}
