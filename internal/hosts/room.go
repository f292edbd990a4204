package hosts

import "time"

// takeRoom takes a place in the lists for an event of an account, if there is one. It
// makes room first, if it can. The lock is held.
func (h *Hosts) takeRoom(k *host, account string, now time.Time) bool {
	if k.sweepDue(now, h.opts.MaxPerHost) {
		h.sweep(k, now)
	}
	return k.listed < h.opts.MaxPerHost && len(h.waiting) < h.opts.MaxWaiting && h.room.Take(account)
}

// sweep drops the entries whose time is over, which are else seen only when their turn
// comes. The lock is held.
func (h *Hosts) sweep(k *host, now time.Time) {
	for _, e := range k.over(now) {
		h.drop(e)
	}
	k.swept, k.sweepAt = now, max(leastSweep, 2*k.listed)
}

const (
	// leastSweep is below how many entries a list is not swept, and sweepPause how
	// often at most a full one is, because each sweep looks at every entry.
	leastSweep = 256
	sweepPause = time.Second
)
