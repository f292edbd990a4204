package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	sess "github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// claimMargin is what a claim outlives its post by, for the note.
const claimMargin = 2 * time.Second

// redisPause is between two tries of a step that Redis did not take.
const redisPause = 500 * time.Millisecond

// post seals the outcome where that is still to be done, claims the post, posts
// the event and notes the answer. Without a 2xx, webhook:deliver goes on.
func (f *follower) post(ctx context.Context, s *session) next {
	defer s.permit.release()
	begun := time.Now()
	change, err := f.claimPost(ctx, s)
	if err != nil {
		f.log.Error("claiming a post failed", "session", s.id, "error", err)
		return in(redisPause, stepPost)
	}
	record := change.Record
	if !change.Applied {
		return f.resume(ctx, s, record)
	}
	if s.result != nil {
		f.metrics.final(s.account.name, record)
	}
	if s.result == nil {
		opened, err := f.open(ctx, s.account, s.Job, record, s.claimant)
		if err != nil {
			return f.handOver(ctx, s, err.Error(), retryPause(record.AttemptsSince(), 0))
		}
		s.result = &opened
	}
	answer := f.send(ctx, s.account, s.Job, begun, *s.result, s.permit)
	switch answer.Verdict {
	case webhook.Delivered:
		return f.noteDelivered(s)
	case webhook.Gone:
		return f.noteGivenUp(ctx, s, answer.Detail)
	}
	f.log.Warn("posting the event failed; it is posted again", "session", s.id, "detail", answer.Detail, "attempt", record.Attempts)
	return f.handOver(ctx, s, answer.Detail, f.hosts.afterFailure(s.receiver, scheduled(record.AttemptsSince(), answer.Cause), answer.RetryAfter))
}

func (f *follower) claimPost(ctx context.Context, s *session) (outcome.Change, error) {
	claim := f.opts.DeliveryTimeout + claimMargin
	if s.result != nil {
		return f.records.Seal(ctx, s.record(), *s.result, s.claimant, claim)
	}
	return f.records.Claim(ctx, s.record(), s.claimant, claim)
}

// send posts once, to where the sealed instructions say, and ends a second before
// the claim does that was asked for at claimed: if Redis answered late, or the
// process was suspended, less time is left than the DeliveryTimeout.
func (w *Worker) send(ctx context.Context, a *account, job sess.Job, claimed time.Time, sealed outcome.Result, permit *permit) webhook.Result {
	ctx, cancel := context.WithDeadline(ctx, claimed.Add(w.opts.DeliveryTimeout+claimMargin/2))
	defer cancel()
	url, err := a.destination(job, sealed)
	if err != nil {
		return a.hold(job.ID(), err)
	}
	result := a.sender.Send(ctx, url, eventID(job.ID()), sealed.Body)
	w.metrics.posted(a.name, result)
	if url != "" {
		permit.report(result)
	}
	return result
}

// resume goes on from where the record says the session stands: somebody else
// was first, or Redis lost a note. What this worker had in hand is dropped.
func (f *follower) resume(ctx context.Context, s *session, r outcome.Record) next {
	s.result = nil
	n, err := f.standing(ctx, s.Job, r)
	if err != nil {
		f.log.Error("making sure of the session's next task failed", "session", s.id, "error", err)
		return in(redisPause, s.step)
	}
	return n
}

func (f *follower) noteDelivered(s *session) next {
	var change outcome.Change
	noted := f.note("noting a delivery", func(ctx context.Context) (err error) {
		change, err = f.records.Deliver(ctx, s.record(), *s.result)
		return err
	})
	if noted {
		f.metrics.delivered(s.account.name, change.Record)
	}
	s.result = nil
	return in(outcome.RemovalDelay, stepRemove)
}

func (f *follower) noteGivenUp(ctx context.Context, s *session, why string) next {
	var change outcome.Change
	noted := f.note("noting that a delivery was given up", func(ctx context.Context) (err error) {
		change, err = f.recordGivenUp(ctx, s.Job, s.claimant, why)
		return err
	})
	if !noted {
		return now(stepPost)
	}
	if !change.Applied {
		return f.resume(ctx, s, change.Record)
	}
	f.tellGivenUp(s.account, s.id, why)
	s.result = nil
	return in(outcome.RemovalDelay, stepRemove)
}

// recordGivenUp keeps with the record what it takes to deliver it after all.
func (w *Worker) recordGivenUp(ctx context.Context, job sess.Job, claimant, why string) (outcome.Change, error) {
	task, err := queue.NewDeliverTask(job)
	if err != nil {
		return outcome.Change{}, err
	}
	return w.records.GiveUp(ctx, outcome.Of(job), claimant, why, task.Payload())
}

func (w *Worker) tellGivenUp(a *account, id, why string) {
	w.metrics.deliveries.WithLabelValues(a.name, resultGivenUp).Inc()
	w.log.Error("delivery given up; the sealed result is kept for the redelivery window", "session", id, "detail", why)
}

// handOver notes that webhook:deliver posts the event, and then enqueues it.
// Whoever finds the note without the task makes the task.
func (f *follower) handOver(ctx context.Context, s *session, why string, after time.Duration) next {
	var change outcome.Change
	noted := f.note("handing a delivery over", func(ctx context.Context) (err error) {
		change, err = f.records.HandOver(ctx, s.record(), s.claimant, why)
		return err
	})
	if !noted {
		return now(stepPost)
	}
	if !change.Applied {
		return f.resume(ctx, s, change.Record)
	}
	return f.enqueueDelivery(s.Job, after)
}

// handSealed seals the outcome for webhook:deliver, because the receiver's host
// has no room for a first post, or none was free here.
func (f *follower) handSealed(ctx context.Context, s *session) next {
	after := s.refusedFor
	if s.result == nil {
		return f.handOver(ctx, s, s.refused.String(), after)
	}
	change, err := f.records.SealHanded(ctx, s.record(), *s.result, s.refused.String())
	if err != nil {
		f.log.Error("sealing an outcome failed", "session", s.id, "error", err)
		return in(redisPause, stepHand)
	}
	if !change.Applied && change.Record.State == outcome.Sealed {
		return f.handOver(ctx, s, s.refused.String(), after)
	}
	if !change.Applied {
		return f.resume(ctx, s, change.Record)
	}
	f.metrics.final(s.account.name, change.Record)
	return f.enqueueDelivery(s.Job, after)
}

func (f *follower) enqueueDelivery(job sess.Job, after time.Duration) next {
	f.note("enqueueing a delivery", func(ctx context.Context) error { return f.tasks.EnsureDelivery(ctx, job, after) })
	return now(stepEnd)
}
