package worker

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// deliver runs the task webhook:deliver: one attempt, and then the pause that
// the schedule asks for, until a 2xx, a 410 or the end of the window.
func (w *Worker) deliver(ctx context.Context, t *asynq.Task) error {
	job, err := tasks.Decode(t.Payload())
	if err != nil {
		return errPayload(err)
	}
	if job.Account != tasks.DefaultAccount {
		return errAccount()
	}
	host := hostOf(w.callbackURL(job))
	if !w.hosts.acquire(host) {
		return errHostBusy()
	}
	defer w.hosts.release(host)

	claimant := w.holder + ".deliver." + newClaimant()
	begun := time.Now()
	claimed, record, err := w.records.Claim(ctx, recordOf(job), claimant, w.opts.DeliveryTimeout+claimMargin)
	switch {
	case err != nil:
		w.log.Error("claiming a post failed", "session", job.ID(), "error", err)
		return errRedis()
	case claimed:
		return w.attempt(ctx, t, job, begun, record, claimant)
	case record.State == outcome.Sealed || record.State == outcome.Handed:
		return errClaimed(record.ClaimLeft(claimant))
	}
	return w.endDelivery(ctx, t, job, record)
}

// attempt posts once and notes the answer.
func (w *Worker) attempt(ctx context.Context, t *asynq.Task, job tasks.Followed, claimed time.Time, r outcome.Record, claimant string) error {
	session := recordOf(job)
	result, err := w.records.Open(session, r)
	if err != nil {
		w.log.Error("the sealed result cannot be opened", "session", job.ID(), "error", err)
		return w.notDelivered(ctx, t, job, r, claimant, webhook.Result{Detail: err.Error()})
	}
	answer := w.send(ctx, job, claimed, result.Body)
	if answer.Verdict != webhook.Delivered {
		return w.notDelivered(ctx, t, job, r, claimant, answer)
	}
	var delivered outcome.Record
	noted := w.note("noting a delivery", func(ctx context.Context) (err error) {
		_, delivered, err = w.records.Deliver(ctx, session, result)
		return err
	})
	if !noted {
		return errRedis()
	}
	return w.endDelivery(ctx, t, job, delivered)
}

// notDelivered gives up where the window is over or the receiver is gone, and
// else asks for the next attempt, the last of them at the window's end.
func (w *Worker) notDelivered(ctx context.Context, t *asynq.Task, job tasks.Followed, r outcome.Record, claimant string, answer webhook.Result) error {
	session := recordOf(job)
	left := w.opts.DeliveryWindow - r.Now.Sub(r.Final)
	if answer.Verdict == webhook.Gone || left < time.Second {
		did, ended, err := w.records.GiveUp(ctx, session, claimant, answer.Detail)
		if err != nil {
			return errRedis()
		}
		if !did && !ended.State.Final() {
			return errClaimed(ended.ClaimLeft(claimant))
		}
		w.logGivenUp(job.ID(), answer.Detail)
		return w.endDelivery(ctx, t, job, ended)
	}
	if _, _, err := w.records.Fail(ctx, session, claimant, answer.Detail); err != nil {
		return errRedis()
	}
	w.log.Warn("posting the event failed; it is posted again", "session", job.ID(), "detail", answer.Detail, "attempt", r.Attempts)
	after := min(retryPause(r.Attempts, answer.RetryAfter), left+time.Second)
	return &pause{after, "the callback failed: " + answer.Detail, true}
}

// endDelivery leaves the removal to session:remove, and ends the task.
func (w *Worker) endDelivery(ctx context.Context, t *asynq.Task, job tasks.Followed, r outcome.Record) error {
	if r.State.Final() && (r.Removal == outcome.NotRemoved || r.Removal == outcome.RemovalHanded) {
		if err := w.ensureRemoval(ctx, job, removalDelay+time.Second); err != nil {
			w.log.Error("enqueueing a removal failed", "session", job.ID(), "error", err)
			return errRedis()
		}
	}
	if !r.State.Final() {
		if err := w.revive(ctx, job, r); err != nil {
			return errRedis()
		}
	}
	return w.endSession(ctx, t, job, r)
}
