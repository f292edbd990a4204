package lease

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Standing is what there is to do in a queue.
type Standing struct {
	Pending bool // a task waits for a server
	Due     bool // a task is to become pending
}

// Look returns how queues stand that share a slot, in their order. It is refused by a
// Redis that takes no writes.
func Look(ctx context.Context, queues []*Queue) ([]Standing, error) {
	var keys []string
	var rdb redis.UniversalClient
	for _, q := range queues {
		rdb, keys = q.redis, append(keys, q.key("pending"), q.key("scheduled"), q.key("retry"))
	}
	found, err := lookScript.Run(ctx, rdb, keys, time.Now().Unix()).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("looking at queues: %w", err)
	}
	standings := make([]Standing, len(queues))
	for i := range standings {
		standings[i] = Standing{Pending: found[2*i] == 1, Due: found[2*i+1] == 1}
	}
	return standings, nil
}

// Dequeues reports whether these are the keys of the script with which an asynq server
// takes a task.
func (q *Queue) Dequeues(keys []string) bool {
	return slices.Equal(keys, []string{q.key("pending"), q.key("paused"), q.key("active"), q.key("lease")})
}

// Forwards reports whether these are the keys of the script with which an asynq server
// makes due tasks pending.
func (q *Queue) Forwards(keys []string) bool {
	return len(keys) == 2 && keys[1] == q.key("pending") && (keys[0] == q.key("scheduled") || keys[0] == q.key("retry"))
}
