package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// claimMargin is what a claim outlives its post by, for the note.
const claimMargin = 2 * time.Second

// post seals the outcome where that is still to be done, claims the post, posts
// the event and notes the answer. Without a 2xx, webhook:deliver goes on.
func (w *Worker) post(ctx context.Context, s *followed) follow.Next {
	defer s.permit.release()
	begun := time.Now()
	change, err := w.claimPost(ctx, s)
	if err != nil {
		w.log.Error("claiming a post failed", "session", s.id, "error", err)
		return follow.In(redisPause, posting{w, s})
	}
	record := change.Record
	if !change.Applied {
		return w.resume(ctx, s, record, posting{w, s})
	}
	if s.result != nil {
		w.metrics.final(s.account.Name(), record)
	}
	if s.result == nil {
		opened, err := w.open(ctx, s.account, s.Job, record, s.claimant)
		if err != nil {
			return w.handOver(ctx, s, err.Error(), retryPause(record.AttemptsSince(), 0))
		}
		s.result = &opened
	}
	answer := w.send(ctx, s.account, s.Job, begun, *s.result, s.permit)
	switch answer.Verdict {
	case webhook.Delivered:
		return w.noteDelivered(s)
	case webhook.Gone:
		return w.noteGivenUp(ctx, s, answer.Detail)
	}
	w.log.Warn("posting the event failed; it is posted again", "session", s.id, "detail", answer.Detail, "attempt", record.Attempts)
	return w.handOver(ctx, s, answer.Detail, w.hosts.afterFailure(s.receiver, scheduled(record.AttemptsSince(), answer.Cause), answer.RetryAfter))
}

func (w *Worker) claimPost(ctx context.Context, s *followed) (outcome.Change, error) {
	claim := w.opts.DeliveryTimeout + claimMargin
	if s.result != nil {
		return w.records.Seal(ctx, s.record(), *s.result, s.claimant, claim)
	}
	return w.records.Claim(ctx, s.record(), s.claimant, claim)
}

// send posts once, to where the sealed instructions say, and ends a second before
// the claim does that was asked for at claimed: if Redis answered late, or the
// process was suspended, less time is left than the DeliveryTimeout.
func (w *Worker) send(ctx context.Context, a *account.Account, job session.Job, claimed time.Time, sealed outcome.Result, permit *permit) webhook.Result {
	ctx, cancel := context.WithDeadline(ctx, claimed.Add(w.opts.DeliveryTimeout+claimMargin/2))
	defer cancel()
	url, err := a.Destination(job, sealed)
	if err != nil {
		return a.Hold(job.ID(), err)
	}
	result := a.Sender().Send(ctx, url, event.ID(job.ID()), sealed.Body)
	w.metrics.posted(a.Name(), result)
	if url != "" {
		permit.report(result)
	}
	return result
}

func (w *Worker) noteDelivered(s *followed) follow.Next {
	var change outcome.Change
	noted := w.notes.Write("noting a delivery", func(ctx context.Context) (err error) {
		change, err = w.records.Deliver(ctx, s.record(), *s.result)
		return err
	})
	if noted {
		w.metrics.delivered(s.account.Name(), change.Record)
	}
	s.result = nil
	return follow.In(outcome.RemovalDelay, removing{w, s})
}

func (w *Worker) noteGivenUp(ctx context.Context, s *followed, why string) follow.Next {
	var change outcome.Change
	noted := w.notes.Write("noting that a delivery was given up", func(ctx context.Context) (err error) {
		change, err = w.recordGivenUp(ctx, s.Job, s.claimant, why)
		return err
	})
	if !noted {
		return follow.Now(posting{w, s})
	}
	if !change.Applied {
		return w.resume(ctx, s, change.Record, posting{w, s})
	}
	w.tellGivenUp(s.account, s.id, why)
	s.result = nil
	return follow.In(outcome.RemovalDelay, removing{w, s})
}

// recordGivenUp keeps with the record what it takes to deliver it after all.
func (w *Worker) recordGivenUp(ctx context.Context, job session.Job, claimant, why string) (outcome.Change, error) {
	task, err := queue.NewDeliverTask(job)
	if err != nil {
		return outcome.Change{}, err
	}
	return w.records.GiveUp(ctx, outcome.Of(job), claimant, why, task.Payload())
}

func (w *Worker) tellGivenUp(a *account.Account, id, why string) {
	w.metrics.deliveries.WithLabelValues(a.Name(), resultGivenUp).Inc()
	w.log.Error("delivery given up; the sealed result is kept for the redelivery window", "session", id, "detail", why)
}

// handOver notes that webhook:deliver posts the event, and then enqueues it.
// Whoever finds the note without the task makes the task.
func (w *Worker) handOver(ctx context.Context, s *followed, why string, after time.Duration) follow.Next {
	var change outcome.Change
	noted := w.notes.Write("handing a delivery over", func(ctx context.Context) (err error) {
		change, err = w.records.HandOver(ctx, s.record(), s.claimant, why)
		return err
	})
	if !noted {
		return follow.Now(posting{w, s})
	}
	if !change.Applied {
		return w.resume(ctx, s, change.Record, posting{w, s})
	}
	return w.enqueueDelivery(s.Job, after)
}

// handSealed seals the outcome for webhook:deliver, because the receiver's host
// has no room for a first post, or none was free here.
func (w *Worker) handSealed(ctx context.Context, s *followed) follow.Next {
	after := s.refusedFor
	if s.result == nil {
		return w.handOver(ctx, s, s.refused.String(), after)
	}
	change, err := w.records.SealHanded(ctx, s.record(), *s.result, s.refused.String())
	if err != nil {
		w.log.Error("sealing an outcome failed", "session", s.id, "error", err)
		return follow.In(redisPause, handing{w, s})
	}
	if !change.Applied && change.Record.State == outcome.Sealed {
		return w.handOver(ctx, s, s.refused.String(), after)
	}
	if !change.Applied {
		return w.resume(ctx, s, change.Record, posting{w, s})
	}
	w.metrics.final(s.account.Name(), change.Record)
	return w.enqueueDelivery(s.Job, after)
}

func (w *Worker) enqueueDelivery(job session.Job, after time.Duration) follow.Next {
	w.notes.Write("enqueueing a delivery", func(ctx context.Context) error { return w.tasks.EnsureDelivery(ctx, job, after) })
	return follow.End()
}
