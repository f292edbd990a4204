package worker

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/take"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// follow runs the task session:follow. It gives the session to the follower and
// leaves the task in asynq's retry set, due when the lease ends; or, if the story is
// told, it ends the task.
func (w *Worker) follow(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	if err := w.taker.Vouch(ctx, a, job); err != nil {
		return err
	}
	follower := w.of(job.ID()).follower
	held := follower.Holds(job.ID())
	full := !held && !follower.HasRoom(ctx, a.Name())
	record, err := w.taker.Take(ctx, job, full)
	if err != nil {
		return err
	}
	if held && record.State != outcome.Cancelled && follower.Keep(job.ID()) {
		return taskserver.Following(w.opts.Lease)
	}
	first, err := (&story{w, job, a}).standing(ctx, record)
	switch {
	case err != nil:
		return taskserver.NoRedis()
	case first.Step == nil:
		return w.settler.End(ctx, t, job, record)
	case full:
		return taskserver.Wait(follower.FullPause(), "this worker follows as many sessions of the account as FOLLOW_LIMIT allows")
	}
	w.taker.Count(a, record)
	follower.Add(job.ID(), a.Name(), first)
	return taskserver.Following(w.opts.Lease)
}

// standing is the table of where a session goes on, by its record. If another queue
// goes on, it makes sure that the task is there.
func (s *story) standing(ctx context.Context, r outcome.Record) (follow.Next, error) {
	switch r.State {
	case outcome.None:
		if further, err := s.w.taker.WentFurther(ctx, s.job); err != nil || further {
			return follow.End(), err
		}
		return follow.Now(s.polling(r)), nil
	case outcome.Following:
		return follow.In(take.Spread(r), s.polling(r)), nil
	case outcome.Sealed:
		event := s.first(nil, time.Now().Add(r.Final.Sub(r.Now)))
		return follow.In(max(r.ClaimLeft(""), 0), posting{s, event}), nil
	case outcome.Handed:
		return follow.End(), s.w.tasks.EnsureDelivery(ctx, s.job, 0)
	case outcome.Redelivering:
		if err := s.w.tasks.EnsureDelivery(ctx, s.job, 0); err != nil {
			return follow.Next{}, err
		}
	}
	switch r.Removal {
	case outcome.NotRemoved:
		return follow.In(r.RemovalLeft(), removing{s}), nil
	case outcome.RemovalHanded:
		return follow.End(), s.w.tasks.EnsureRemoval(ctx, s.job, 0)
	}
	return follow.End(), nil
}

func (s *story) polling(r outcome.Record) polling {
	return polling{s, poll.Begin(s.job, s.account, r, s.w.opts.SessionTimeout)}
}
