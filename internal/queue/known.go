package queue

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

// Known is a Redis for asynq's clients and inspectors. asynq asks whether Redis knows a
// queue, or makes it known, before it uses the queue, by a key that belongs to no shard.
// With several shards that key may be on another node, and no shard may need it: there
// it is answered here that the queue is known. Workers make it so.
func Known(rdb redis.UniversalClient, shards session.Shards) redis.UniversalClient {
	if shards.Count() == 1 {
		return rdb
	}
	return known{rdb}
}

type known struct{ redis.UniversalClient }

const allQueues = "asynq:queues"

// SIsMember is called by asynq.
func (k known) SIsMember(ctx context.Context, key string, member any) *redis.BoolCmd {
	if key != allQueues {
		return k.UniversalClient.SIsMember(ctx, key, member)
	}
	return redis.NewBoolResult(true, nil)
}

// SAdd is called by asynq.
func (k known) SAdd(ctx context.Context, key string, members ...any) *redis.IntCmd {
	if key != allQueues {
		return k.UniversalClient.SAdd(ctx, key, members...)
	}
	return redis.NewIntResult(0, nil)
}
