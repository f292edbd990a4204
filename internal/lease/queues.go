package lease

import (
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

// Queues are the queues of one kind, one in each shard. It is safe for concurrent use.
type Queues struct {
	shards session.Shards
	queues []*Queue // by the shard's number
}

// NewQueues makes the Queues that the only shard would call name.
func NewQueues(rdb redis.UniversalClient, shards session.Shards, name string) Queues {
	qs := Queues{shards: shards}
	for _, shard := range shards.All() {
		qs.queues = append(qs.queues, NewQueue(rdb, shard.Queue(name)))
	}
	return qs
}

// Of is the queue of the task with this id.
func (qs Queues) Of(id string) *Queue { return qs.queues[qs.shards.Of(id).Number()] }

// All are the queues, in the order of their shards.
func (qs Queues) All() []*Queue { return qs.queues }
