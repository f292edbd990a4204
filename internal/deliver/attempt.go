package deliver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// Verdict says what an attempt came to.
type Verdict int

// The verdicts.
const (
	Unnoted   Verdict = iota // Redis took no note: what it knows decides
	Delivered                // a receiver acknowledged the event, and that is noted
	GivenUp                  // it is noted that nobody will
	Retry                    // the failure is noted, and the event is posted again
	Taken                    // nothing was done: the record says who was first
	Handed                   // webhook:deliver posts it, which is noted, and its task is there
)

// Outcome is what an attempt came to.
type Outcome struct {
	Verdict Verdict
	Record  outcome.Record // as it is by then; not with Unnoted
	retry   retry          // with Retry
}

// retry says when a failed post is made again.
type retry struct {
	after     time.Duration // by the schedule, unless the host is back before
	notBefore time.Duration // what the receiver asked for, or our own trouble takes; zero: nothing
	left      time.Duration // of the delivery window
	why       string
}

// try is one attempt to deliver a session's event.
type try struct {
	job      session.Job
	account  *account.Account
	claimant string
	permit   *hosts.Permit
	// result is the outcome that is sealed together with the claim; nil if it is
	// sealed already.
	result *outcome.Result
	// first hands the event over to webhook:deliver if the post fails.
	first bool
}

// attempt claims the post, posts the event once and notes the answer. It is the one
// way in which events are posted.
func (d *Deliverer) attempt(ctx context.Context, t try) Outcome {
	begun := time.Now()
	claim, err := d.claim(ctx, t)
	record := claim.Record
	switch {
	case err != nil:
		d.opts.Log.Error("claiming a post failed", "session", t.job.ID(), "error", err)
		return Outcome{Verdict: Unnoted}
	case !claim.Applied:
		t.permit.Pass()
		return Outcome{Verdict: Taken, Record: record}
	}
	if t.result != nil {
		d.opts.Metrics.final(t.account.Name(), record)
		return d.noteAnswer(t, record, *t.result, d.send(ctx, t, begun, *t.result))
	}
	result, err := d.open(ctx, t, record)
	switch {
	case errors.Is(err, outcome.ErrSealMissing) && record.State == outcome.Redelivering:
		return d.giveUp(t, err.Error())
	case err != nil:
		return d.noteAnswer(t, record, result, webhook.Result{Detail: err.Error()})
	}
	return d.noteAnswer(t, record, result, d.send(ctx, t, begun, result))
}

// claimPatience is for how long Redis may take a claim. The attempt holds a slot of its
// host meanwhile, which the sessions of other shards need.
const claimPatience = 3 * time.Second

func (d *Deliverer) claim(ctx context.Context, t try) (outcome.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	if t.result != nil {
		return d.opts.Records.Seal(ctx, outcome.Of(t.job), *t.result, t.claimant, d.claimTime())
	}
	return d.opts.Records.Claim(ctx, outcome.Of(t.job), t.claimant, d.claimTime())
}

// send posts once, to where the sealed instructions say, and ends a second before
// the claim does that was asked for at claimed: if Redis answered late, or the
// process was suspended, less time is left than the timeout. It gives the slot back
// when the answer is there: the next post need not wait until Redis has noted this one.
func (d *Deliverer) send(ctx context.Context, t try, claimed time.Time, sealed outcome.Result) webhook.Result {
	defer t.permit.Release()
	ctx, cancel := context.WithDeadline(ctx, claimed.Add(d.opts.Timeout+claimMargin/2))
	defer cancel()
	url, err := t.account.Destination(t.job, sealed)
	if err != nil {
		return t.account.Hold(t.job.ID(), err)
	}
	result := t.account.Sender().Send(ctx, url, event.ID(t.job.ID()), sealed.Body)
	d.opts.Metrics.posted(t.account.Name(), result)
	if url != "" {
		t.permit.Report(wordOf(result))
	}
	return result
}

// wordOf tells a host that is down or overloaded from one that answers, if only to
// refuse what this callback URL asks of it.
func wordOf(r webhook.Result) hosts.Word {
	switch {
	case r.Cause != webhook.CauseReceiver:
		return hosts.Nothing
	case r.Verdict == webhook.NotDelivered && (r.Status == 0 || r.Status == http.StatusTooManyRequests || r.Status >= http.StatusInternalServerError):
		return hosts.Down
	}
	return hosts.Well
}

// final goes by the record's own times, as delivered does.
func (m Metrics) final(account string, r outcome.Record) {
	m.FinalAfter.WithLabelValues(account, r.Type).Observe(max(r.Final.Sub(r.Started), 0).Seconds())
}

func (m Metrics) posted(account string, r webhook.Result) {
	result := ResultFailed
	switch r.Verdict {
	case webhook.Delivered:
		result = ResultDelivered
	case webhook.Gone:
		result = ResultGone
	}
	m.Attempts.WithLabelValues(account, result).Inc()
}

// delivered goes by the record's own times, which are by one clock.
func (m Metrics) delivered(account string, r outcome.Record) {
	m.Deliveries.WithLabelValues(account, ResultDelivered).Inc()
	m.DeliverAfter.WithLabelValues(account).Observe(max(r.Ended.Sub(r.Final), 0).Seconds())
}
