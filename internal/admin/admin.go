// Package admin owns what people and applications may ask of sessions from outside
// the engine: how one stands, which there are and how many, and to cancel one or to
// have its event posted now, or delivered again once it was given up. It is the one such API, under the HTTP
// API, the commands and tasks.Client. A session is named by a [session.Name].
//
// It changes a record or a task and leaves the rest to the workers. It never polls,
// posts or removes anything, and knows nothing of the engine.
//
// Read admin.go, then status.go, list.go and count.go, which only look, and
// cancel.go, postnow.go, redeliver.go and answer.go.
package admin

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// ErrNoSession says that nothing is known of a session.
var ErrNoSession = errors.New("no such session: it was never enqueued, was taken out of the queue, or its time is over")

// ErrRecordVersion says that a later release wrote the session's record.
var ErrRecordVersion = outcome.ErrRecordVersion

// Sessions are those of the workers on one Redis. It is safe for concurrent use.
type Sessions struct {
	redis      redis.UniversalClient
	shards     session.Shards
	records    *outcome.Store
	tasks      queue.List
	following  lease.Queues
	delivering lease.Queues
}

// New makes the Sessions of a Redis, which must be spread over these shards. It asks
// Redis nothing.
func New(rdb redis.UniversalClient, shards session.Shards) *Sessions {
	return &Sessions{
		redis: rdb, shards: shards, records: outcome.NewStore(outcome.Config{Redis: rdb, Shards: shards}), tasks: queue.NewList(rdb, shards),
		following: lease.NewQueues(rdb, shards, queue.Follow), delivering: lease.NewQueues(rdb, shards, queue.Deliver),
	}
}

// sighting is what there is of a session.
type sighting struct {
	task   *asynq.TaskInfo // session:follow; nil if there is none
	record outcome.Record
}

// waits reports whether a worker is to run the task of a session that has no record. A
// completed one has had its time, one with a result too, which somebody runs again, and
// an archived one was taken out of the queue.
func (s sighting) waits() bool {
	return s.task != nil && s.task.State != asynq.TaskStateCompleted && s.task.State != asynq.TaskStateArchived && len(s.task.Result) == 0
}

// look looks for the task first: if that waits and has no record afterwards, no
// worker took it.
func (s *Sessions) look(ctx context.Context, name session.Name) (sighting, error) {
	task, err := s.tasks.Find(queue.Follow, name.ID())
	if err != nil {
		return sighting{}, err
	}
	entries, err := s.records.Peek(ctx, name.ID())
	if err != nil {
		return sighting{}, err
	}
	return sighting{task, entries[0].Record}, entries[0].Err
}
