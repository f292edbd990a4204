package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/session"
)

// story is what all states of a session in memory know.
type story struct {
	w       *Worker
	job     session.Job
	account *account.Account
}

// A session in memory is in one of these states. Each is a step that the follower
// runs; the functions below are the table of what follows from what it came to.
type (
	polling struct { // the next poll
		story *story
		state *poll.State
	}
	posting struct { // the first post of its event
		story *story
		event *deliver.First
	}
	handing struct { // a note that leaves the post to webhook:deliver
		story *story
		event *deliver.First
	}
	removing struct { // the DELETE at MarkSign
		story *story
	}
)

var (
	_ follow.Step     = polling{}
	_ follow.Admitted = posting{}
	_ follow.Step     = handing{}
	_ follow.Step     = removing{}
)

// redisPause is between two tries of a step that Redis did not take.
const redisPause = 500 * time.Millisecond

func (polling) Kind() follow.Kind  { return follow.Poll }
func (posting) Kind() follow.Kind  { return follow.Post }
func (handing) Kind() follow.Kind  { return follow.Hand }
func (removing) Kind() follow.Kind { return follow.Remove }

// Run polls once.
func (p polling) Run(ctx context.Context) follow.Next {
	return p.next(p.story.w.poller.Poll(ctx, p.state))
}

// AfterDefect ends the session as failed.
func (p polling) AfterDefect() follow.Next { return p.next(p.story.w.poller.Defect(p.state)) }

func (p polling) next(o poll.Outcome) follow.Next {
	switch {
	case o.Unsigned:
		return follow.End()
	case o.Final != nil:
		return follow.Now(posting{p.story, p.story.first(o.Final, time.Now())})
	}
	return follow.Next{Step: p, At: o.Again}
}

func (s *story) first(result *outcome.Result, since time.Time) *deliver.First {
	return s.w.deliverer.NewFirst(s.job, s.account, result, since)
}

// Admit lets the event be posted if it has its turn. Past its patience, and if the
// host keeps failing, webhook:deliver has to post it.
func (p posting) Admit() (instead follow.Next, may bool) {
	may, again, handOver := p.story.w.deliverer.Turn(p.event, p.takeTurn)
	if handOver {
		return follow.Now(handing(p)), false
	}
	return follow.Next{Step: p, At: again}, may
}

// takeTurn has the session post now, unless it no longer waits for that.
func (p posting) takeTurn(permit *hosts.Permit) {
	id := p.story.job.ID()
	taken := p.story.w.of(id).follower.Hurry(id, func(step follow.Step) bool {
		if step != p {
			return false
		}
		p.event.Take(permit)
		return true
	})
	if !taken {
		permit.Release()
	}
}

// Run posts once.
func (p posting) Run(ctx context.Context) follow.Next {
	return p.story.delivered(ctx, p.story.w.deliverer.Post(ctx, p.event), p)
}

// AfterDefect leaves the post to webhook:deliver.
func (p posting) AfterDefect() follow.Next { return follow.Now(handing(p)) }

// Run leaves the post to webhook:deliver.
func (h handing) Run(ctx context.Context) follow.Next {
	return h.story.delivered(ctx, h.story.w.deliverer.HandOver(ctx, h.event), h)
}

// AfterDefect tries again later.
func (h handing) AfterDefect() follow.Next { return follow.In(time.Minute, h) }

// delivered is what follows the step of an event. again is that step.
func (s *story) delivered(ctx context.Context, o deliver.Outcome, again follow.Step) follow.Next {
	switch o.Verdict {
	case deliver.Delivered, deliver.GivenUp:
		return follow.In(outcome.RemovalDelay, removing{s})
	case deliver.Handed:
		return follow.End()
	case deliver.Taken:
		return s.resume(ctx, o.Record, again)
	}
	return follow.In(redisPause, again)
}

// Run sends the DELETE once. What fails is left to session:remove.
func (r removing) Run(ctx context.Context) follow.Next {
	remover := r.story.w.remover
	switch o := remover.Attempt(ctx, r.story.account, r.story.job); o.Verdict {
	case remove.Removed, remove.GivenUp:
		return follow.Finish(r.story.w.settler.Finished(r.story.job, o.Record))
	case remove.Retry:
		remover.Enqueue(r.story.job, o)
		return follow.End()
	case remove.Forbidden:
		if o.Record.State.MayRemove() && o.Record.IsKept() {
			return r.handOver(remove.WhyKept)
		}
		return r.story.resume(ctx, o.Record, r)
	case remove.Rejected:
		return r.handOver(remove.WhyRejected)
	case remove.NotReplicated:
		return r.handOver(remove.WhyNotReplicated)
	default:
		return follow.In(redisPause, r)
	}
}

// AfterDefect leaves the DELETE to session:remove.
func (r removing) AfterDefect() follow.Next { return r.handOver(remove.WhyDefect) }

func (r removing) handOver(why string) follow.Next {
	r.story.w.remover.HandOver(r.story.job, why)
	return follow.End()
}

// resume goes on from where the record says the session stands: somebody else was
// first, or Redis lost a note. What this worker had in hand is dropped. again is the
// step that asked.
func (s *story) resume(ctx context.Context, r outcome.Record, again follow.Step) follow.Next {
	n, err := s.standing(ctx, r)
	if err != nil {
		s.w.log.Error("making sure of the session's next task failed", "session", s.job.ID(), "error", err)
		return follow.In(redisPause, again)
	}
	return n
}
