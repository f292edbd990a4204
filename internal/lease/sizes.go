package lease

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sizes is how many tasks a queue has, by their state as asynqmon names it, and
// for how long the oldest pending one has waited; zero if none does.
type Sizes struct {
	Tasks         map[string]int64
	OldestPending time.Duration
}

// Sizes asks Redis once for the sizes, and once more if tasks are pending.
func (q *Queue) Sizes(ctx context.Context) (Sizes, error) {
	counts := make(map[string]*redis.IntCmd)
	pipe := q.redis.Pipeline()
	for _, list := range []string{"pending", "active"} {
		counts[list] = pipe.LLen(ctx, q.key(list))
	}
	for _, set := range []string{"scheduled", "retry", "archived", "completed"} {
		counts[set] = pipe.ZCard(ctx, q.key(set))
	}
	oldest := pipe.LRange(ctx, q.key("pending"), -1, -1)
	if _, err := pipe.Exec(ctx); err != nil {
		return Sizes{}, q.wrap("counting tasks", err)
	}
	sizes := Sizes{Tasks: make(map[string]int64)}
	for state, count := range counts {
		sizes.Tasks[state] = count.Val()
	}
	if ids := oldest.Val(); len(ids) > 0 {
		sizes.OldestPending = q.pendingFor(ctx, ids[0])
	}
	return sizes, nil
}

// pendingFor goes by the clocks of who enqueued and of this machine. A task that
// has begun meanwhile waits no more.
func (q *Queue) pendingFor(ctx context.Context, id string) time.Duration {
	since, err := q.redis.HGet(ctx, q.taskKey(id), "pending_since").Result()
	if err != nil {
		return 0
	}
	nanos, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return 0
	}
	return max(time.Since(time.Unix(0, nanos)), 0)
}
