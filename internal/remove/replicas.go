package remove

import (
	"context"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
)

// replicaPatience is for how long a note is waited for to be on a replica.
const replicaPatience = time.Second

// replicas remembers for a moment whether Redis has any. It is safe for
// concurrent use; no lock is held while Redis is asked.
type replicas struct {
	mu    sync.Mutex
	until time.Time
	any   bool
}

// waitFor is how long a note is to be waited for on a replica; zero if
// there is none.
func (r *replicas) waitFor(ctx context.Context, records *outcome.Store) (time.Duration, error) {
	known, has := r.recall()
	if !known {
		n, err := records.Replicas(ctx)
		if err != nil {
			return 0, err
		}
		has = n > 0
		r.remember(has)
	}
	if has {
		return replicaPatience, nil
	}
	return 0, nil
}

func (r *replicas) recall() (known, has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until), r.any
}

func (r *replicas) remember(has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.any, r.until = has, time.Now().Add(time.Second)
}
