package worker

import (
	"net/url"
	"sync"
)

// hosts bounds the posts that are under way to one host, so that a slow
// receiver cannot take every slot. It is safe for concurrent use.
type hosts struct {
	limit int

	mu       sync.Mutex
	underWay map[string]int
}

func newHosts(limit int) *hosts {
	return &hosts{limit: limit, underWay: make(map[string]int)}
}

// acquire takes a slot, which release gives back, or returns false at once.
func (h *hosts) acquire(host string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.underWay[host] >= h.limit {
		return false
	}
	h.underWay[host]++
	return true
}

func (h *hosts) release(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.underWay[host]--; h.underWay[host] == 0 {
		delete(h.underWay, host)
	}
}

func hostOf(callbackURL string) string {
	u, err := url.Parse(callbackURL)
	if err != nil {
		return ""
	}
	return u.Host
}
