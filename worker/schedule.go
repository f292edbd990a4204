package worker

import (
	"container/heap"
	"context"
	"time"
)

// schedule waits for due times, and gives each due session to its pool.
func (f *follower) schedule(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		timer.Reset(f.dispatch(time.Now()))
	}
}

// dispatch gives what is due to the pools and returns when to look again.
func (f *follower) dispatch(current time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.due) > 0 {
		if wait := f.due[0].due.Sub(current); wait > 0 {
			return wait
		}
		f.give(heap.Pop(&f.due).(*session), current) //nolint:forcetypeassert // the heap holds nothing else
	}
	return time.Hour
}

// give puts a session into the hand of its pool. No pool's channel is ever full,
// for each has room for all sessions.
func (f *follower) give(s *session, current time.Time) {
	switch s.step {
	case stepPoll:
		f.giveShare(s, current, f.polling, f.polls)
	case stepPost:
		f.givePost(s, current)
	case stepHand:
		f.hands.work <- s
	case stepRemove:
		f.giveShare(s, current, f.removing, f.removals)
	case stepEnd:
		f.drop(s)
		f.ends.work <- s
	}
}

// giveShare gives a session to a pool that calls MarkSign, unless the account has
// its share of it: one whose MarkSign hangs must not hold up the others.
func (f *follower) giveShare(s *session, current time.Time, of *shares, p pool) {
	if !of.take(s.account) {
		s.due = current.Add(sharePause + upTo(sharePause))
		heap.Push(&f.due, s)
		return
	}
	p.work <- s
}

// givePost lets a session post where a slot is free, in this process and to its
// host; past its patience, and where the host keeps failing, webhook:deliver has to.
func (f *follower) givePost(s *session, current time.Time) {
	s.refused = f.permitPost(s)
	switch {
	case s.refused == granted:
		f.posting++
		f.posts.work <- s
	case s.refused == circuitOpen, s.result != nil && current.Sub(s.final) > postPatience:
		s.step = stepHand
		f.hands.work <- s
	default:
		s.due = current.Add(slotPause)
		heap.Push(&f.due, s)
	}
}

func (f *follower) permitPost(s *session) (refused refusal) {
	s.refusedFor = 0
	if f.posting >= f.opts.DeliveryConcurrency {
		return noSlot
	}
	s.permit, refused, s.refusedFor = f.hosts.acquire(s.receiver)
	return refused
}
