package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// follow runs the task session:follow. It gives the session to the follower and
// returns errFollowing, which leaves the task in asynq's retry set, due when the
// lease ends; or, where the story is told, it ends the task.
func (w *Worker) follow(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	if !a.Believes(job) {
		refused, err := w.refusesToPoll(ctx, a, job)
		if refused || err != nil {
			return err
		}
	}
	held := w.follower.Holds(job.ID())
	full := !held && !w.follower.HasRoom(ctx, a.Name())
	record, err := w.take(ctx, job, full)
	if err != nil {
		w.log.Error("taking a session failed", "session", job.ID(), "error", err)
		return queue.NoRedis()
	}
	if held && record.State != outcome.Cancelled {
		w.follower.Keep(job.ID())
		return w.errFollowing()
	}
	s := w.newFollowed(job, a)
	first, err := w.standing(ctx, s, record)
	if err != nil {
		return queue.NoRedis()
	}
	switch {
	case first.Step == nil:
		return w.settler.End(ctx, t, job, record)
	case full:
		return queue.Wait(w.follower.FullPause(), "this worker follows as many sessions of the account as FOLLOW_LIMIT allows")
	}
	if record.Now.Sub(record.Started) >= time.Second {
		w.metrics.takenOver.WithLabelValues(a.Name()).Inc()
		w.takeovers.Add(1)
	}
	w.follower.Add(s.id, a.Name(), first)
	return w.errFollowing()
}

// errFollowing leaves the task in asynq's retry set, due when the lease ends.
func (w *Worker) errFollowing() error {
	return &queue.Pause{After: w.opts.Lease, Why: "following: a worker polls MarkSign until the person has confirmed or refused; no failure"}
}

func (w *Worker) polling(s *followed, r outcome.Record) polling {
	return polling{w, s, poll.Begin(s.Job, s.account, r, w.opts.SessionTimeout)}
}

// wentFurther reports whether a task proves that the session had its outcome.
func (w *Worker) wentFurther(ctx context.Context, job session.Job) (bool, error) {
	return lease.AnyKnows(ctx, w.further, job.ID())
}

// refuseUnsigned counts and logs a task that is not signed: what nobody signed is
// not acted on, and what was forgotten when the keys were set up is not lost.
func (w *Worker) refuseUnsigned(a *account.Account, job session.Job) {
	w.metrics.refusedTasks.WithLabelValues(a.Name()).Inc()
	a.WarnUnsigned(job.ID())
}

// refusesToPoll refuses a task that is not signed, unless the session has its
// outcome: then the task decides nothing any more.
func (w *Worker) refusesToPoll(ctx context.Context, a *account.Account, job session.Job) (bool, error) {
	r, err := w.records.Read(ctx, outcome.Of(job))
	switch {
	case err != nil:
		return true, queue.NoRedis()
	case r.State == outcome.None, r.State == outcome.Following:
		w.refuseUnsigned(a, job)
		return true, queue.Unsigned()
	}
	return false, nil
}

// take makes this worker the session's holder if it has room for one more. A
// session that already had its outcome gets no new record.
func (w *Worker) take(ctx context.Context, job session.Job, full bool) (outcome.Record, error) {
	if full {
		return w.records.Read(ctx, outcome.Of(job))
	}
	further, err := w.wentFurther(ctx, job)
	switch {
	case err != nil:
		return outcome.Record{}, err
	case further:
		return w.records.TakeOver(ctx, outcome.Of(job), w.holder)
	}
	return w.records.Follow(ctx, outcome.Of(job), w.holder)
}

// standing says from where a session goes on, by its record. Where another
// queue goes on, it makes sure that the task is there.
func (w *Worker) standing(ctx context.Context, s *followed, r outcome.Record) (follow.Next, error) {
	switch r.State {
	case outcome.None:
		if further, err := w.wentFurther(ctx, s.Job); err != nil || further {
			return follow.End(), err
		}
		return follow.Now(w.polling(s, r)), nil
	case outcome.Following:
		return follow.In(takeoverSpread(r), w.polling(s, r)), nil
	case outcome.Sealed:
		return follow.In(max(r.ClaimLeft(""), 0), posting{w, s}), nil
	case outcome.Handed:
		return follow.End(), w.tasks.EnsureDelivery(ctx, s.Job, 0)
	case outcome.Redelivering:
		if err := w.tasks.EnsureDelivery(ctx, s.Job, 0); err != nil {
			return follow.Next{}, err
		}
	}
	switch r.Removal {
	case outcome.NotRemoved:
		return follow.In(r.RemovalLeft(), removing{w, s}), nil
	case outcome.RemovalHanded:
		return follow.End(), w.tasks.EnsureRemoval(ctx, s.Job, 0)
	}
	return follow.End(), nil
}

// takeoverBurst is short, for a person waits, and a lease may just have run out.
const takeoverBurst = 300 * time.Millisecond

// takeoverSpread is before the first poll of a session that another worker had:
// when one hands thousands over, they are not polled all at once.
func takeoverSpread(r outcome.Record) time.Duration {
	if r.Now.Sub(r.Started) < time.Second {
		return 0
	}
	return rand.N(takeoverBurst) //nolint:gosec // a spread is no secret
}
