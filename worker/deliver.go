package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// delivery is one run of a task webhook:deliver.
type delivery struct {
	*Worker
	task     *asynq.Task
	job      session.Job
	account  *account.Account
	receiver string // of the event, as hosts name it
	claimant string
}

// deliver runs the task webhook:deliver: one attempt, and then the pause that
// the schedule asks for, until a 2xx, a 410 or the end of the window.
func (w *Worker) deliver(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	d := delivery{w, t, job, a, a.Receiver(job), w.holder + ".deliver." + rand.Text()[:8]}
	permit, refused, wait := w.hosts.acquire(d.receiver)
	if refused != granted {
		return d.postpone(ctx, refused, wait)
	}
	defer permit.release()
	return d.claim(ctx, permit)
}

// postpone leaves the post for later, where there is one to make still. It uses
// up no attempt.
func (d delivery) postpone(ctx context.Context, why refusal, wait time.Duration) error {
	r, err := d.records.Keep(ctx, outcome.Of(d.job))
	if err != nil {
		return queue.NoRedis()
	}
	left := d.windowLeft(r)
	switch {
	case !r.State.AsksPost():
		return d.end(ctx, r)
	case left < time.Second:
		return d.giveUp(ctx, cmp.Or(r.LastError, why.String()))
	}
	if why == hostBusy {
		wait = d.hosts.busyPause(d.receiver)
	}
	return queue.Wait(min(wait, left+time.Second), why.String())
}

func (d delivery) claim(ctx context.Context, permit *permit) error {
	begun := time.Now()
	change, err := d.records.Claim(ctx, outcome.Of(d.job), d.claimant, d.opts.DeliveryTimeout+claimMargin)
	switch {
	case err != nil:
		d.log.Error("claiming a post failed", "session", d.job.ID(), "error", err)
		return queue.NoRedis()
	case change.Applied:
		return d.attempt(ctx, begun, change.Record, permit)
	case change.Record.State.AsksPost():
		return queue.Claimed(change.Record.ClaimLeft(d.claimant))
	}
	return d.end(ctx, change.Record)
}

// attempt posts once and notes the answer.
func (d delivery) attempt(ctx context.Context, claimed time.Time, r outcome.Record, permit *permit) error {
	result, err := d.open(ctx, d.account, d.job, r, d.claimant)
	switch {
	case errors.Is(err, outcome.ErrSealMissing) && r.State == outcome.Redelivering:
		return d.giveUp(ctx, err.Error())
	case err != nil:
		return d.failed(ctx, r, webhook.Result{Detail: err.Error()})
	}
	answer := d.send(ctx, d.account, d.job, claimed, result, permit)
	if answer.Verdict != webhook.Delivered {
		return d.failed(ctx, r, answer)
	}
	var change outcome.Change
	noted := d.notes.Write("noting a delivery", func(ctx context.Context) (err error) {
		change, err = d.records.Deliver(ctx, outcome.Of(d.job), result)
		return err
	})
	if !noted {
		return queue.NoRedis()
	}
	d.metrics.delivered(d.account.Name(), change.Record)
	return d.end(ctx, change.Record)
}

// windowLeft is for how long the event is posted still.
func (w *Worker) windowLeft(r outcome.Record) time.Duration {
	return w.opts.DeliveryWindow - r.Now.Sub(r.DeliveryBegan())
}

// failed gives up where the window is over or the receiver is gone, and else
// asks for the next attempt, the last of them at the window's end.
func (d delivery) failed(ctx context.Context, r outcome.Record, answer webhook.Result) error {
	left := d.windowLeft(r)
	if answer.Verdict == webhook.Gone || left < time.Second {
		return d.giveUp(ctx, answer.Detail)
	}
	d.log.Warn("posting the event failed; it is posted again", "session", d.job.ID(), "detail", answer.Detail, "attempt", r.Attempts)
	noted := d.notes.Write("noting a failed post", func(ctx context.Context) error {
		_, err := d.records.Fail(ctx, outcome.Of(d.job), d.claimant, answer.Detail)
		return err
	})
	if !noted {
		return queue.NoRedis()
	}
	after := min(d.hosts.afterFailure(d.receiver, scheduled(r.AttemptsSince(), answer.Cause), answer.RetryAfter), left+time.Second)
	return queue.Retry(after, "the callback failed: "+answer.Detail)
}

func (d delivery) giveUp(ctx context.Context, why string) error {
	var change outcome.Change
	noted := d.notes.Write("noting that a delivery was given up", func(ctx context.Context) (err error) {
		change, err = d.recordGivenUp(ctx, d.job, d.claimant, why)
		return err
	})
	if !noted {
		return queue.NoRedis()
	}
	if !change.Applied && change.Record.State.AsksPost() {
		return queue.Claimed(change.Record.ClaimLeft(d.claimant))
	}
	if change.Applied {
		d.tellGivenUp(d.account, d.job.ID(), why)
	}
	return d.end(ctx, change.Record)
}

// end leaves the removal to session:remove, and ends the task.
func (d delivery) end(ctx context.Context, r outcome.Record) error {
	switch {
	case r.State == outcome.None:
		return d.lost(ctx)
	case !r.State.MayRemove():
		if err := d.settler.Revive(ctx, d.job, r); err != nil {
			return queue.NoRedis()
		}
	case r.Removal == outcome.NotRemoved || r.Removal == outcome.RemovalHanded:
		if err := d.tasks.EnsureRemoval(ctx, d.job, outcome.RemovalDelay+time.Second); err != nil {
			d.log.Error("enqueueing a removal failed", "session", d.job.ID(), "error", err)
			return queue.NoRedis()
		}
	}
	return d.settler.End(ctx, d.task, d.job, r)
}

// lost goes on with a delivery whose record is missing.
func (d delivery) lost(ctx context.Context) error {
	switch salvaged, err := d.salvage(ctx); {
	case err != nil:
		d.log.Error("reading the sealed result of a lost record failed", "session", d.job.ID(), "error", err)
		return queue.NoRedis()
	case salvaged:
		return queue.Claimed(0)
	}
	return d.settler.RecordLost(d.task, d.job)
}
