package deliver

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// patience is for how long a first post waits for its turn before webhook:deliver
// gets it: until then the outcome is in memory alone.
const patience = time.Second

// awayRest is before it is looked again whether the Redis of a first post's session
// answers.
const awayRest = 200 * time.Millisecond

// First is an event in the follower's hand, before its first post. One goroutine at a
// time touches it.
type First struct {
	job      session.Job
	account  *account.Account
	claimant string
	result   *outcome.Result // nil if it is sealed already
	since    time.Time       // when the outcome was known here
	permit   *hosts.Permit   // nil while it has none
	refused  hosts.Refusal   // why it was not posted here
}

// NewFirst is the event of an outcome that is known here since a time; a nil result is
// sealed in the session's record already.
func (d *Deliverer) NewFirst(job session.Job, a *account.Account, result *outcome.Result, since time.Time) *First {
	return &First{job: job, account: a, claimant: d.firstClaimant(), result: result, since: since}
}

// Turn says whether the event may be posted now. If not, it waits in its host's list
// until the time returned, at which it is to be asked again, and wake is called when
// its turn comes before. If handOver is true it waits no longer: webhook:deliver has
// to post it. It neither waits nor calls wake itself.
func (d *Deliverer) Turn(f *First, wake func(*hosts.Permit)) (may bool, again time.Time, handOver bool) {
	if f.permit != nil {
		return true, time.Time{}, false
	}
	if d.opts.Away(f.job.ID()) {
		return false, time.Now().Add(awayRest), false
	}
	e := hosts.Event{ID: f.job.ID(), Account: f.account.Name(), Host: f.account.Receiver(f.job), Since: f.since, Kind: hosts.First, Post: wake}
	f.permit, f.refused = d.opts.Hosts.Acquire(e)
	switch {
	case f.refused == hosts.Granted:
		return true, time.Time{}, false
	case f.refused == hosts.CircuitOpen, f.result != nil && time.Since(f.since) >= patience:
		d.opts.Hosts.Leave(e.ID)
		return false, time.Time{}, true
	}
	again = time.Now().Add(patience)
	d.opts.Hosts.Wait(e, hosts.Pause{Ends: again.Add(patience)})
	return false, again, false
}

// Take gives the event the permit that wake was called with.
func (f *First) Take(p *hosts.Permit) { f.permit, f.refused = p, hosts.Granted }

// Post makes the first attempt, and seals the outcome with it if that is still to be
// done. The verdict is Delivered, GivenUp, Handed, Taken or Unnoted.
func (d *Deliverer) Post(ctx context.Context, f *First) Outcome {
	permit := f.permit
	f.permit = nil
	defer permit.Release()
	if f.result == nil && !d.mayClaim(ctx, f.job) { // somebody may have posted it already
		return Outcome{Verdict: Unnoted}
	}
	o := d.attempt(ctx, try{job: f.job, account: f.account, claimant: f.claimant, permit: permit, result: f.result, first: true})
	if o.Verdict != Retry {
		return o
	}
	w := d.waiting(f.job, f.account, o.Record)
	pause, fallback := w.again(o.retry)
	return d.enqueue(w, pause, fallback, o.Record)
}

// HandOver seals the outcome and leaves the post to webhook:deliver, because the event
// may not be posted now, or because a defect keeps it from being posted here. The
// verdict is Handed, Taken or Unnoted.
func (d *Deliverer) HandOver(ctx context.Context, f *First) Outcome {
	change, err := d.sealHanded(ctx, f)
	switch {
	case err != nil:
		d.opts.Log.Error("sealing an outcome failed", "session", f.job.ID(), "error", err)
		return Outcome{Verdict: Unnoted}
	case !change.Applied:
		return Outcome{Verdict: Taken, Record: change.Record}
	}
	if f.result != nil {
		d.opts.Metrics.final(f.account.Name(), change.Record)
	}
	w := d.waiting(f.job, f.account, change.Record)
	if f.refused == hosts.Granted { // a defect
		return d.enqueue(w, hosts.Pause{}, 0, change.Record)
	}
	pause, fallback := w.turn(d.windowLeft(change.Record))
	return d.enqueue(w, pause, fallback, change.Record)
}

// sealHanded notes that webhook:deliver posts the event, which may be sealed already.
func (d *Deliverer) sealHanded(ctx context.Context, f *First) (outcome.Change, error) {
	if f.result != nil {
		change, err := d.opts.Records.SealHanded(ctx, outcome.Of(f.job), *f.result, f.refused.String())
		if err != nil || change.Applied || change.Record.State != outcome.Sealed {
			return change, err
		}
	}
	return d.opts.Records.HandOver(ctx, outcome.Of(f.job), f.claimant, f.refused.String())
}

// enqueue makes the task of an event that was handed over, and then puts the event
// into the list, unless its task is due at once.
func (d *Deliverer) enqueue(w *waiting, p hosts.Pause, fallback time.Duration, r outcome.Record) Outcome {
	noted := d.opts.Notes.Write("enqueueing a delivery", func(ctx context.Context) error {
		return d.opts.Tasks.EnsureDelivery(ctx, w.job, fallback)
	})
	if noted && fallback > 0 && w.join(p) == hosts.ListClosed {
		w.handBack(p)
	}
	return Outcome{Verdict: Handed, Record: r}
}
