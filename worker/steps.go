package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/remove"
)

// A session in memory is in one of these states. Each is a step that the follower
// runs; the functions below are the table of what follows from what it came to.
type (
	polling struct { // the next poll
		w     *Worker
		s     *followed
		state *poll.State
	}
	posting struct { // the first post of its event
		w *Worker
		s *followed
	}
	handing struct { // a note that leaves the post to webhook:deliver
		w *Worker
		s *followed
	}
	removing struct { // the DELETE at MarkSign
		w *Worker
		s *followed
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
	return p.next(p.w.poller.Poll(ctx, p.state))
}

// AfterDefect ends the session as failed.
func (p polling) AfterDefect() follow.Next { return p.next(p.w.poller.Defect(p.state)) }

func (p polling) next(o poll.Outcome) follow.Next {
	switch {
	case o.Unsigned:
		return follow.End()
	case o.Final != nil:
		p.s.result, p.s.final = o.Final, time.Now()
		return follow.Now(posting{p.w, p.s})
	}
	return follow.Next{Step: p, At: o.Again}
}

// Run posts once.
func (p posting) Run(ctx context.Context) follow.Next { return p.w.post(ctx, p.s) }

// AfterDefect leaves the post to webhook:deliver.
func (p posting) AfterDefect() follow.Next { return follow.Now(handing(p)) }

// Run leaves the post to webhook:deliver.
func (h handing) Run(ctx context.Context) follow.Next { return h.w.handSealed(ctx, h.s) }

// AfterDefect tries again later.
func (h handing) AfterDefect() follow.Next { return follow.In(time.Minute, h) }

// Run sends the DELETE once. What fails is left to session:remove.
func (r removing) Run(ctx context.Context) follow.Next {
	switch o := r.w.remover.Attempt(ctx, r.s.account, r.s.Job); o.Verdict {
	case remove.Removed, remove.GivenUp:
		return follow.End()
	case remove.Retry:
		r.w.remover.Enqueue(r.s.Job, o)
		return follow.End()
	case remove.Forbidden:
		if o.Record.State.MayRemove() && o.Record.IsKept() {
			return r.handOver(remove.WhyKept)
		}
		return r.w.resume(ctx, r.s, o.Record, r)
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
	r.w.remover.HandOver(r.s.Job, why)
	return follow.End()
}

// resume goes on from where the record says the session stands: somebody else was
// first, or Redis lost a note. What this worker had in hand is dropped. again is the
// step that asked.
func (w *Worker) resume(ctx context.Context, s *followed, r outcome.Record, again follow.Step) follow.Next {
	s.result = nil
	n, err := w.standing(ctx, s, r)
	if err != nil {
		w.log.Error("making sure of the session's next task failed", "session", s.id, "error", err)
		return follow.In(redisPause, again)
	}
	return n
}

// Admit lets a session post if a slot is free, in this process and to its host.
// Past its patience, and if the host keeps failing, webhook:deliver has to.
func (p posting) Admit(free bool) (follow.Next, bool) {
	s := p.s
	s.refused = p.permit(free)
	switch {
	case s.refused == granted:
		return follow.Next{}, true
	case s.refused == circuitOpen, s.result != nil && time.Since(s.final) > postPatience:
		return follow.Now(handing(p)), false
	}
	return follow.In(slotPause, p), false
}

func (p posting) permit(free bool) (refused refusal) {
	p.s.refusedFor = 0
	if !free {
		return noSlot
	}
	p.s.permit, refused, p.s.refusedFor = p.w.hosts.acquire(p.s.receiver)
	return refused
}
