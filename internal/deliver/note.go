package deliver

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/webhook"
)

// noteAnswer notes what came of a post.
func (d *Deliverer) noteAnswer(t try, r outcome.Record, posted outcome.Result, answer webhook.Result) Outcome {
	switch {
	case answer.Verdict == webhook.Delivered:
		return d.noteDelivered(t, posted)
	case answer.Verdict == webhook.Gone, d.windowLeft(r) < time.Second:
		return d.giveUp(t, answer.Detail)
	}
	return d.noteFailed(t, r, answer)
}

func (d *Deliverer) noteDelivered(t try, posted outcome.Result) Outcome {
	var change outcome.Change
	noted := d.opts.Notes.Write("noting a delivery", func(ctx context.Context) (err error) {
		change, err = d.opts.Records.Deliver(ctx, outcome.Of(t.job), posted)
		return err
	})
	if !noted {
		return Outcome{Verdict: Unnoted}
	}
	d.opts.Metrics.delivered(t.account.Name(), change.Record)
	return Outcome{Verdict: Delivered, Record: change.Record}
}

// noteFailed notes a failed post. Whoever finds the note of a hand-over without the
// task makes the task.
func (d *Deliverer) noteFailed(t try, r outcome.Record, answer webhook.Result) Outcome {
	d.opts.Log.Warn("posting the event failed; it is posted again", "session", t.job.ID(), "detail", answer.Detail, "attempt", r.Attempts)
	what, note := "noting a failed post", d.opts.Records.Fail
	if t.first {
		what, note = "handing a delivery over", d.opts.Records.HandOver
	}
	var change outcome.Change
	noted := d.opts.Notes.Write(what, func(ctx context.Context) (err error) {
		change, err = note(ctx, outcome.Of(t.job), t.claimant, answer.Detail)
		return err
	})
	switch {
	case !noted:
		return Outcome{Verdict: Unnoted}
	case !change.Applied:
		return Outcome{Verdict: Taken, Record: change.Record}
	}
	return Outcome{Verdict: Retry, Record: change.Record, retry: d.retryAfter(r, answer)}
}

// retryAfter says when a post is made again that failed so.
func (d *Deliverer) retryAfter(r outcome.Record, answer webhook.Result) retry {
	least := min(answer.RetryAfter, maxRetryAfter)
	after := jitter(max(scheduledPause(scheduled(r.AttemptsSince(), answer.Cause)), least))
	if answer.Cause != webhook.CauseReceiver {
		least = after
	}
	return retry{after, least, d.windowLeft(r), answer.Detail}
}

// giveUp keeps with the record what it takes to deliver the event after all.
func (d *Deliverer) giveUp(t try, why string) Outcome {
	task, err := queue.NewDeliverTask(t.job)
	if err != nil {
		d.opts.Log.Error("a defect in identwatch: a task could not be made", "session", t.job.ID())
		return Outcome{Verdict: Unnoted}
	}
	var change outcome.Change
	noted := d.opts.Notes.Write("noting that a delivery was given up", func(ctx context.Context) (err error) {
		change, err = d.opts.Records.GiveUp(ctx, outcome.Of(t.job), t.claimant, why, task.Payload())
		return err
	})
	switch {
	case !noted:
		return Outcome{Verdict: Unnoted}
	case !change.Applied:
		return Outcome{Verdict: Taken, Record: change.Record}
	}
	d.opts.Metrics.Deliveries.WithLabelValues(t.account.Name(), ResultGivenUp).Inc()
	d.opts.Log.Error("delivery given up; the sealed result is kept for the redelivery window", "session", t.job.ID(), "detail", why)
	return Outcome{Verdict: GivenUp, Record: change.Record}
}
