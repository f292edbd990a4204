package remove

import (
	"context"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// replicaPatience is for how long a note is waited for to be on a replica.
const replicaPatience = time.Second

// replicas remembers for a moment whether the Redis of a shard has any. It is safe for
// concurrent use; no lock is held while Redis is asked.
type replicas struct {
	mu    sync.Mutex
	known map[session.Shard]replicated
}

// replicated is what was seen of one shard.
type replicated struct {
	until time.Time
	any   bool
}

// waitFor is how long a note is to be waited for on a replica; zero if
// there is none.
func (r *replicas) waitFor(ctx context.Context, records *outcome.Store, of outcome.Session) (time.Duration, error) {
	shard := records.Shard(of)
	known, has := r.recall(shard)
	if !known {
		n, err := records.Replicas(ctx, of)
		if err != nil {
			return 0, err
		}
		has = n > 0
		r.remember(shard, has)
	}
	if has {
		return replicaPatience, nil
	}
	return 0, nil
}

func (r *replicas) recall(shard session.Shard) (known, has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.known[shard]
	return time.Now().Before(seen.until), seen.any
}

func (r *replicas) remember(shard session.Shard, has bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = make(map[session.Shard]replicated)
	}
	r.known[shard] = replicated{time.Now().Add(time.Second), has}
}
