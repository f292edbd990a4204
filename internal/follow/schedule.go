package follow

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"
)

// sharePause is the least before a session is looked at again whose account has
// its share of a pool.
const sharePause = 200 * time.Millisecond

// schedule waits for due times, and gives each due session to its pool.
func (f *Follower) schedule(ctx context.Context) {
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
func (f *Follower) dispatch(current time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.due) > 0 {
		if wait := f.due[0].due.Sub(current); wait > 0 {
			return wait
		}
		f.give(heap.Pop(&f.due).(*Session), current) //nolint:forcetypeassert // the heap holds nothing else
	}
	return time.Hour
}

// give puts a due session into the hand of its pool, if the pool and the step
// itself allow it.
func (f *Follower) give(s *Session, current time.Time) {
	p := f.pools[s.step.Kind()]
	if p.shares != nil && !p.shares.Take(s.Account) {
		s.due = current.Add(sharePause + rand.N(sharePause)) //nolint:gosec // a spread is no secret
		heap.Push(&f.due, s)
		return
	}
	if a, ok := s.step.(Admitted); ok {
		if instead, may := a.Admit(); !may {
			p.giveBackShare(s)
			f.follow(s, instead)
			return
		}
	}
	p.work <- s
}
