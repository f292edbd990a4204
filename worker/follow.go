package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// follow runs the task session:follow. It gives the session to the follower and
// leaves the task in asynq's retry set, due when the lease ends; or, if the story is
// told, it ends the task.
func (w *Worker) follow(ctx context.Context, t *asynq.Task, a *account.Account, job session.Job) error {
	if err := w.taker.Vouch(ctx, a, job); err != nil {
		return err
	}
	held := w.follower.Holds(job.ID())
	full := !held && !w.follower.HasRoom(ctx, a.Name())
	record, err := w.taker.Take(ctx, job, full)
	if err != nil {
		return err
	}
	if held && record.State != outcome.Cancelled {
		w.follower.Keep(job.ID())
		return w.untilLeaseEnds()
	}
	first, err := (&story{w, job, a}).standing(ctx, record)
	switch {
	case err != nil:
		return queue.NoRedis()
	case first.Step == nil:
		return w.settler.End(ctx, t, job, record)
	case full:
		return queue.Wait(w.follower.FullPause(), "this worker follows as many sessions of the account as FOLLOW_LIMIT allows")
	}
	w.taker.Count(a, record)
	w.follower.Add(job.ID(), a.Name(), first)
	return w.untilLeaseEnds()
}

func (w *Worker) untilLeaseEnds() error {
	return &queue.Pause{After: w.opts.Lease, Why: "following: a worker polls MarkSign until the person has confirmed or refused; no failure"}
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
		return follow.In(takeoverSpread(r), s.polling(r)), nil
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

// takeoverSpread is before the first poll of a session that another worker had:
// when one hands thousands over, they are not polled all at once. It is short,
// because a person waits, and a lease may just have run out.
func takeoverSpread(r outcome.Record) time.Duration {
	if r.Now.Sub(r.Started) < time.Second {
		return 0
	}
	return rand.N(resumeSpread) //nolint:gosec // a spread is no secret
}
