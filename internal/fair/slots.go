// Package fair divides a number of slots among accounts, so that one account
// whose MarkSign hangs holds up no other. It counts; it never waits.
package fair

import "sync"

// Slots are shared by accounts. An account may take one more while it holds fewer
// than are free: the first account to hang gets half of the slots, the next half
// of the rest, and so on. A single account gets all. It is safe for concurrent use.
type Slots struct {
	total  int
	single bool

	mu    sync.Mutex
	taken map[string]int
	all   int
}

// New makes slots for a number of accounts.
func New(total, accounts int) *Slots {
	return &Slots{total: total, single: accounts == 1, taken: make(map[string]int)}
}

// Take takes a slot for the account. It returns false if the account has its share.
// A single account is never refused: whoever calls bounds it.
func (s *Slots) Take(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.single && s.taken[account] >= s.total-s.all {
		return false
	}
	s.taken[account]++
	s.all++
	return true
}

// GiveBack frees a slot that the account took.
func (s *Slots) GiveBack(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[account]--
	s.all--
}
