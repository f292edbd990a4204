package worker

import (
	"container/heap"
	"context"
	"time"
)

const (
	// fullRate is how many tasks a second come back that found the process full,
	// so that those of an account with very many do not stand before all others.
	fullRate     = 200
	maxFullPause = 30 * time.Second
)

// hasRoom reports whether the process follows one more session of an account. An
// account alone may fill the process. When it is full and another account has less
// than its share, one session of the account that has the most goes back to the
// queue: to another worker, or to this one later.
func (f *follower) hasRoom(ctx context.Context, a *account) bool {
	f.mu.Lock()
	room, back := f.makeRoom(a)
	f.mu.Unlock()
	if back != "" {
		f.release(ctx, []string{back})
	}
	return room
}

// makeRoom returns the session that goes back, "" if none does. The lock is held.
func (f *follower) makeRoom(a *account) (room bool, back string) {
	if len(f.sessions) < f.opts.FollowLimit {
		return true, ""
	}
	sharing, most := len(f.counts), a
	if f.counts[a] == 0 {
		sharing++
	}
	for other, n := range f.counts {
		if n > f.counts[most] {
			most = other
		}
	}
	share := f.opts.FollowLimit / sharing
	if f.counts[a] >= share || f.counts[most] <= share {
		return false, ""
	}
	for i := len(f.due) - 1; i >= 0; i-- { // those at the end are due later than most
		if s := f.due[i]; s.account == most && s.step == stepPoll && s.result == nil {
			heap.Remove(&f.due, i)
			f.drop(s)
			return true, s.id
		}
	}
	return false, ""
}

// keepSession and drop are the only ones that change which sessions are held. The
// lock is held.
func (f *follower) keepSession(s *session) {
	f.sessions[s.id] = s
	f.counts[s.account]++
}

func (f *follower) drop(s *session) {
	if f.sessions[s.id] != s {
		return
	}
	delete(f.sessions, s.id)
	if f.counts[s.account]--; f.counts[s.account] == 0 {
		delete(f.counts, s.account)
	}
}

// fullPause is how long a task waits that found no room: a second, and longer when
// there are very many of them.
func (f *follower) fullPause() time.Duration {
	later := f.fulls.Reserve()
	wait := later.Delay()
	if wait > maxFullPause {
		later.Cancel()
	}
	return min(max(wait, time.Second), maxFullPause)
}
