package api

import (
	"net/http"

	"golang.org/x/sync/semaphore"
)

const (
	// maxCalls is how many calls of one key a process works on at once.
	maxCalls = 64
	// maxLarge bounds the bytes of the bodies above maxBody that a process holds
	// for one key at once: four batches of the largest size.
	maxLarge = 4 * maxBatchBody
)

// slots are what one key may hold of a process at once. Each key has its own, so
// that slow calls and large bodies of one hold up no other. Who has no key gets
// none.
type slots struct {
	calls chan struct{}
	large *semaphore.Weighted
}

func newSlots() *slots {
	return &slots{make(chan struct{}, maxCalls), semaphore.NewWeighted(maxLarge)}
}

// take takes a slot for a request whose body may have so many bytes, and does not
// wait for one: what waits would hold a connection. It returns what gives the slot
// back, or nil if there is none.
func (s *slots) take(body int64) (release func()) {
	if body <= maxBody {
		body = 0 // as many of them as there are calls are few
	}
	if !s.large.TryAcquire(body) {
		return nil
	}
	select {
	case s.calls <- struct{}{}:
		return func() {
			<-s.calls
			s.large.Release(body)
		}
	default:
		s.large.Release(body)
		return nil
	}
}

// bodySize is the most that a request's body can have.
func bodySize(op operation, r *http.Request) int64 {
	if r.ContentLength >= 0 {
		return min(r.ContentLength, op.MaxBodyBytes)
	}
	return op.MaxBodyBytes
}
