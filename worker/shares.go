package worker

import (
	"sync"
	"time"
)

// sharePause is the least before an account that has its share is looked at again.
const sharePause = 200 * time.Millisecond

// shares divides a number of slots among the accounts, so that one whose MarkSign
// hangs holds up no other: an account may take one more while it has fewer than
// are free. The first to hang gets half of the slots, the next half of the rest,
// and so on. The only account gets all. It is safe for concurrent use.
type shares struct {
	slots int
	alone bool

	mu    sync.Mutex
	taken map[*account]int
	all   int
}

func newShares(slots int, accounts accounts) *shares {
	return &shares{slots: slots, alone: len(accounts) == 1, taken: make(map[*account]int)}
}

// take takes a slot for the account, unless it has its share.
func (s *shares) take(a *account) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.alone && s.taken[a] >= s.slots-s.all {
		return false
	}
	s.taken[a]++
	s.all++
	return true
}

// giveBack frees a slot that the account took.
func (s *shares) giveBack(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[a]--
	s.all--
}
