package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	sess "github.com/identwatch/identwatch/internal/session"
)

// follow runs the task session:follow. It gives the session to the follower and
// returns errFollowing, which leaves the task in asynq's retry set, due when the
// lease ends; or, where the story is told, it ends the task.
func (w *Worker) follow(ctx context.Context, t *asynq.Task) error {
	job, err := w.decode(t)
	if err != nil {
		return err
	}
	account := w.accounts.of(job)
	if account == nil {
		return w.waitForAccount(ctx, job)
	}
	if !account.vouches(job) {
		refused, err := w.refusesToPoll(ctx, account, job)
		if refused || err != nil {
			return err
		}
	}
	held := w.follower.Holds(job.ID())
	full := !held && !w.follower.HasRoom(ctx, account.name)
	record, err := w.take(ctx, job, full)
	if err != nil {
		w.log.Error("taking a session failed", "session", job.ID(), "error", err)
		return errRedis()
	}
	if held && record.State != outcome.Cancelled {
		w.follower.Keep(job.ID())
		return errFollowing(w.opts.Lease)
	}
	s := w.newSession(job, account, record)
	first, err := w.standing(ctx, s, record)
	if err != nil {
		return errRedis()
	}
	switch {
	case first.Step == nil:
		return w.endSession(ctx, t, job, record)
	case full:
		return errFull(w.follower.FullPause())
	}
	if record.Now.Sub(record.Started) >= time.Second {
		w.metrics.takenOver.WithLabelValues(account.name).Inc()
		w.takeovers.Add(1)
	}
	w.follower.Add(s.id, account.name, first)
	return errFollowing(w.opts.Lease)
}

// refusesToPoll refuses a task that is not signed, unless the session has its
// outcome: then the task decides nothing any more.
func (w *Worker) refusesToPoll(ctx context.Context, a *account, job sess.Job) (bool, error) {
	r, err := w.records.Read(ctx, outcome.Of(job))
	switch {
	case err != nil:
		return true, errRedis()
	case r.State == outcome.None, r.State == outcome.Following:
		return true, w.refuseUnsigned(a, job)
	}
	return false, nil
}

// take makes this worker the session's holder if it has room for one more. A
// session that already had its outcome gets no new record.
func (w *Worker) take(ctx context.Context, job sess.Job, full bool) (outcome.Record, error) {
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

// endSession ends the task with its result. Where no other task has anything left
// to do it settles the record, and the session is finished.
func (w *Worker) endSession(ctx context.Context, t *asynq.Task, job sess.Job, r outcome.Record) error {
	if r.State == outcome.None {
		return w.recordLost(t, job)
	}
	if t.Type() == queue.TypeFollow || w.tasks.Ended(queue.Follow, job.ID()) {
		if _, err := w.records.Settle(ctx, outcome.Of(job)); err != nil {
			return errRedis()
		}
	}
	if r.Removal == outcome.Removed || r.Removal == outcome.RemovedUnknown {
		w.logFinished(job, r)
	}
	return writeResult(t, r)
}

// standing says from where a session goes on, by its record. Where another
// queue goes on, it makes sure that the task is there.
func (w *Worker) standing(ctx context.Context, s *session, r outcome.Record) (follow.Next, error) {
	switch r.State {
	case outcome.None:
		if further, err := w.wentFurther(ctx, s.Job); err != nil || further {
			return follow.End(), err
		}
		return follow.Now(polling{w, s}), nil
	case outcome.Following:
		return follow.In(takeoverSpread(r), polling{w, s}), nil
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

// logFinished writes the one line that an operator reads of a session. Its times
// are in seconds, by Redis's clock; one that never came is 0.
func (w *Worker) logFinished(job sess.Job, r outcome.Record) {
	w.log.Info("session finished", "session", job.ID(), "account", job.Account,
		"outcome", r.Type, "reason", r.Reason, "delivery", string(r.State), "removal", string(r.Removal),
		"polls", r.Polls, "attempts", r.Attempts, "removals", r.Removals, "final_after", between(r.Started, r.Final),
		"ended_after", between(r.Final, r.Ended), "removed_after", between(r.Ended, r.RemovedAt), "last_error", r.LastError, "last_trouble", r.Trouble)
}

func between(from, to time.Time) float64 {
	if from.IsZero() || to.Before(from) {
		return 0
	}
	return to.Sub(from).Seconds()
}
