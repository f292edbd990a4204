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

// handBackPause is before another process runs the task of an event that this one, as
// it stops, does not list.
const handBackPause = time.Second

// join puts the event into the list of its host.
func (w *waiting) join(p hosts.Pause) hosts.Place {
	return w.deliverer.opts.Hosts.Wait(hosts.Event{
		ID: w.job.ID(), Account: w.account.Name(), Host: w.host(), Since: w.since, Kind: hosts.Repeated, Post: w.post,
	}, p)
}

// handBack has another process bring an event that this one, as it stops, does not
// list. What the host's return would not end stays with its task's due time.
func (w *waiting) handBack(p hosts.Pause) {
	if p.NotBefore.IsZero() {
		w.deliverer.waker.add(w.job.ID())
	}
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
	if d.opts.Away(w.job.ID()) {
		permit.Release()
		w.rest(redisRest)
		return
	}
	if !w.takeLease(permit) {
		return
	}
	if !d.mayClaim(d.opts.Notes.Context(), w.job) {
		d.waker.add(w.job.ID())
		return
	}
	o := d.attempt(d.opts.Notes.Context(), try{job: w.job, account: w.account, claimant: d.newClaimant(), permit: permit})
	permit.Release()
	w.goOn(o)
}

// takeLease has the event's task run soon after the post's claim is over, so that a
// process that dies as it posts costs seconds, however late the task was due. It
// returns false if nobody is to post now: an operator deleted the task, or Redis does
// not answer.
func (w *waiting) takeLease(permit *hosts.Permit) bool {
	d := w.deliverer
	status, err := d.opts.Queues.Of(w.job.ID()).Postpone(d.opts.Notes.Context(), w.job.ID(), time.Now().Add(d.claimTime()+fallbackMargin))
	if err != nil {
		d.trouble.Do(func() { d.opts.Log.Error("Redis takes no leases of deliveries; they wait", "error", err) })
		w.rest(redisRest)
		return false
	}
	if status == lease.Gone {
		permit.Pass()
	}
	return status != lease.Gone
}

const (
	// redisRest is before an event is tried again whose attempt Redis took no note
	// of, or that somebody else may be posting, and leastRest for how much longer it
	// stays in the list.
	redisRest = time.Second
	leastRest = 10 * time.Second
)

// rest has the event wait in the list for a while, and for nothing else.
func (w *waiting) rest(pause time.Duration) {
	free := time.Now().Add(jitter(pause))
	w.join(hosts.Pause{Due: free, NotBefore: free, Ends: free.Add(leastRest)})
}

// goOn does what follows an attempt that was made from memory.
func (w *waiting) goOn(o Outcome) {
	d := w.deliverer
	switch {
	case o.Verdict == Retry:
		w.repeat(w.again(o.retry))
	case o.Verdict == Unnoted:
		w.rest(redisRest)
	case o.Verdict == Taken && o.Record.State.AsksPost(): // by another, or by a try of ours whose answer was lost
		w.rest(max(o.Record.ClaimLeft(""), 0) + redisRest)
	default:
		w.ensureRemoval(o.Record)
		d.waker.add(w.job.ID())
	}
}

// repeat makes the task of an event due that failed, and lists the event, unless an
// operator deleted the task.
func (w *waiting) repeat(p hosts.Pause, fallback time.Duration) {
	d, due := w.deliverer, time.Now().Add(fallback)
	var status lease.Status
	postponed := d.opts.Notes.Write("postponing a delivery", func(ctx context.Context) (err error) {
		status, err = d.opts.Queues.Of(w.job.ID()).Postpone(ctx, w.job.ID(), due)
		return err
	})
	if !postponed || status == lease.Gone {
		return
	}
	if w.join(p) == hosts.ListClosed {
		w.handBack(p)
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
