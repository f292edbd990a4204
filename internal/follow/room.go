package follow

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

// HasRoom reports whether the process follows one more session of an account. An
// account alone may fill the process. When it is full and another account has less
// than its share, one session of the account that has the most goes back to the
// queue: to another worker, or to this one later.
func (f *Follower) HasRoom(ctx context.Context, account string) bool {
	f.mu.Lock()
	room, back := f.makeRoom(account)
	f.mu.Unlock()
	if back != "" {
		f.endAll(ctx, []end{{id: back}})
	}
	return room
}

// makeRoom returns the session that goes back, "" if none does. The lock is held.
func (f *Follower) makeRoom(account string) (room bool, back string) {
	if len(f.sessions) < f.opts.Limit {
		return true, ""
	}
	sharing, most := len(f.counts), account
	if f.counts[account] == 0 {
		sharing++
	}
	for other, n := range f.counts {
		if n > f.counts[most] {
			most = other
		}
	}
	share := f.opts.Limit / sharing
	if f.counts[account] >= share || f.counts[most] <= share {
		return false, ""
	}
	for i := len(f.due) - 1; i >= 0; i-- { // those at the end are due later than most
		if s := f.due[i]; s.Account == most && s.step.Kind() == Poll {
			heap.Remove(&f.due, i)
			f.drop(s)
			return true, s.ID
		}
	}
	return false, ""
}

// drop takes a session out. The lock is held.
func (f *Follower) drop(s *Session) {
	if f.sessions[s.ID] != s {
		return
	}
	delete(f.sessions, s.ID)
	if f.counts[s.Account]--; f.counts[s.Account] == 0 {
		delete(f.counts, s.Account)
	}
}

// FullPause is how long a task waits that found no room: a second, and longer when
// there are very many of them.
func (f *Follower) FullPause() time.Duration {
	later := f.fulls.Reserve()
	wait := later.Delay()
	if wait > maxFullPause {
		later.Cancel()
	}
	return min(max(wait, time.Second), maxFullPause)
}
