package worker

import (
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/follow"
)

// The steps of a session in memory, as the follower runs them.
type (
	polling struct { // the next poll
		w *Worker
		s *session
	}
	posting struct { // the first post of its event
		w *Worker
		s *session
	}
	handing struct { // a note that leaves the post to webhook:deliver
		w *Worker
		s *session
	}
	removing struct { // the DELETE at MarkSign
		w *Worker
		s *session
	}
)

var (
	_ follow.Step     = polling{}
	_ follow.Admitted = posting{}
	_ follow.Step     = handing{}
	_ follow.Step     = removing{}
)

func (p polling) Kind() follow.Kind  { return follow.Poll }
func (p posting) Kind() follow.Kind  { return follow.Post }
func (h handing) Kind() follow.Kind  { return follow.Hand }
func (r removing) Kind() follow.Kind { return follow.Remove }

func (p polling) Run(ctx context.Context) follow.Next  { return p.w.poll(ctx, p.s) }
func (p posting) Run(ctx context.Context) follow.Next  { return p.w.post(ctx, p.s) }
func (h handing) Run(ctx context.Context) follow.Next  { return h.w.handSealed(ctx, h.s) }
func (r removing) Run(ctx context.Context) follow.Next { return r.w.removeStep(ctx, r.s) }

// AfterDefect ends the session as failed.
func (p polling) AfterDefect() follow.Next { return p.w.concludeDefect(p.s) }

// AfterDefect leaves the post to webhook:deliver.
func (p posting) AfterDefect() follow.Next { return follow.Now(handing(p)) }

// AfterDefect tries again later.
func (h handing) AfterDefect() follow.Next { return follow.In(time.Minute, h) }

// AfterDefect leaves the DELETE to session:remove.
func (r removing) AfterDefect() follow.Next {
	r.s.defect = true
	return follow.In(time.Minute, r)
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
