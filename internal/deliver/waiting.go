package deliver

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/defect"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// fallbackMargin is by how much a task is due after the list's own time. asynq cuts
// due times to whole seconds.
const fallbackMargin = 2 * time.Second

// linger is for how long an event stays in the list after its task is due. asynq runs
// due tasks behind those that are made to run, of which there are thousands when a host
// is back that many waited for. Whoever is first posts the event: its claim keeps the
// two apart.
const linger = time.Minute

// waiting is an event that webhook:deliver posts.
type waiting struct {
	deliverer *Deliverer
	job       session.Job
	account   *account.Account
	since     time.Time // of its outcome, or of the operator's word to deliver it again
}

func (d *Deliverer) waiting(job session.Job, a *account.Account, r outcome.Record) *waiting {
	return &waiting{d, job, a, r.DeliveryBegan()}
}

func (w *waiting) host() string { return w.account.Receiver(w.job) }

func (w *waiting) event() hosts.Event {
	return hosts.Event{ID: w.job.ID(), Host: w.host(), Since: w.since, Kind: hosts.Repeated, Post: w.post}
}

// again says when an event goes out whose post failed, and when its task is due.
func (w *waiting) again(r retry) (p hosts.Pause, fallback time.Duration) {
	now := time.Now()
	after := min(r.after, r.left)
	p.Due, fallback = now.Add(after), after+fallbackMargin
	if r.notBefore > 0 {
		p.NotBefore = now.Add(min(r.notBefore, r.left))
	}
	if other, open := w.deliverer.opts.Hosts.Fallback(w.host()); open {
		fallback = min(max(other, r.notBefore), r.left) + fallbackMargin
	}
	p.Ends = now.Add(min(fallback+linger, r.left+fallbackMargin))
	return p, fallback
}

// turn says the same of an event that waits for nothing but its host.
func (w *waiting) turn(left time.Duration) (p hosts.Pause, fallback time.Duration) {
	fallback, _ = w.deliverer.opts.Hosts.Fallback(w.host())
	most := left + time.Second
	return hosts.Pause{Ends: time.Now().Add(min(fallback+linger, most))}, min(fallback, most)
}

// post is called when the event's turn has come.
func (w *waiting) post(permit *hosts.Permit) {
	d := w.deliverer
	defer permit.Release()
	defer func() {
		if p := recover(); p != nil {
			defect.Log(d.opts.Log, w.job.ID(), p) // its task brings it
		}
	}()
	o := d.attempt(d.opts.Notes.Context(), try{job: w.job, account: w.account, claimant: d.newClaimant(), permit: permit})
	permit.Release()
	w.goOn(o)
}

const (
	// redisRest is before an event is tried again whose attempt Redis took no note
	// of, and leastRest for how long that goes on before its task is waited for.
	redisRest = time.Second
	leastRest = 10 * time.Second
)

// goOn does what follows an attempt that was made from memory.
func (w *waiting) goOn(o Outcome) {
	d, now := w.deliverer, time.Now()
	switch {
	case o.Verdict == Retry:
		p, fallback := w.again(o.retry)
		if w.keepsTask(now.Add(fallback)) {
			d.opts.Hosts.Wait(w.event(), p)
		}
	case o.Verdict == Unnoted:
		d.opts.Hosts.Wait(w.event(), hosts.Pause{Due: now.Add(redisRest), NotBefore: now.Add(redisRest), Ends: now.Add(leastRest)})
	case o.Verdict == Taken && o.Record.State.AsksPost(): // by another, or by a try of ours whose answer was lost
		free := now.Add(max(o.Record.ClaimLeft(""), 0) + redisRest)
		d.opts.Hosts.Wait(w.event(), hosts.Pause{Due: free, NotBefore: free, Ends: free.Add(leastRest)})
	default:
		w.ensureRemoval(o.Record)
		d.waker.add(w.job.ID())
	}
}

// ensureRemoval makes sure that the session is removed also if the event's task is
// gone, or runs only hours later because this process dies now.
func (w *waiting) ensureRemoval(r outcome.Record) {
	if !r.State.MayRemove() || r.Removal.IsOver() {
		return
	}
	d := w.deliverer
	d.opts.Notes.Write("enqueueing a removal", func(ctx context.Context) error {
		return d.opts.Tasks.EnsureRemoval(ctx, w.job, outcome.RemovalDelay+time.Second)
	})
}

// keepsTask moves the due time of the event's task on, and reports whether there is
// one: an operator may have deleted it, so that nothing is posted any more.
func (w *waiting) keepsTask(due time.Time) bool {
	d := w.deliverer
	status, err := d.opts.Queue.Postpone(d.opts.Notes.Context(), w.job.ID(), due)
	if err != nil {
		d.opts.Log.Error("postponing a delivery failed; it is posted sooner", "session", w.job.ID(), "error", err)
		return true
	}
	return status != lease.Gone
}
