package tasks

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Retention is how long a finished task is kept. While it is kept, a second
// Enqueue of its session is a duplicate.
const (
	DefaultRetention = session.DefaultRetention
	MinRetention     = session.MinRetention
	MaxRetention     = session.MaxRetention
)

// ErrNewerPayload says that the session's task was written by a later release than
// this one. The task is sound, and a later worker can run it.
var ErrNewerPayload = queue.ErrNewerPayload

// NewFollowTask makes the asynq task that has a session followed, for those who
// hold an asynq.Client: client.EnqueueContext(ctx, task) is all it needs, for
// the task carries its queue, id and options, and other options must not be
// added. A duplicate is answered with asynq.ErrTaskIDConflict. A retention of
// zero is DefaultRetention. The error is a *ValidationError, or names the retention.
//
// If SHARDS of the workers is over 1, as it is on a Redis Cluster, one option must be
// added: the queue of [FollowQueue]. The task's own queue is that of a Redis with one
// shard, where no worker would find it.
//
// [Client.Enqueue] does the same and also fixes a follow task that somebody archived.
//
// The task is not signed; see [NewSignedFollowTask].
func NewFollowTask(s Session, retention time.Duration) (*asynq.Task, error) {
	return NewSignedFollowTask(PayloadKey{}, s, retention)
}

// NewSignedFollowTask is NewFollowTask for workers that have TASK_KEYS for the
// session's account: the key, one of them, signs the payload. The zero key signs
// nothing. With SHARDS over 1 it needs the queue of [FollowQueue], too.
func NewSignedFollowTask(key PayloadKey, s Session, retention time.Duration) (*asynq.Task, error) {
	job := s.job()
	if err := job.Validate(); err != nil {
		return nil, err
	}
	job.Retention = cmp.Or(retention, DefaultRetention)
	return queue.NewFollowTask(queue.Sign(job, key))
}

// FollowQueue is the queue for the task of [NewFollowTask] or [NewSignedFollowTask] if
// the sessions are spread over shards: enqueue it with asynq.Queue. It must have the
// session's own account and token, and as many shards as SHARDS of the workers, which is
// 8 on a Redis Cluster if it is not set. With one shard it is the task's own queue. A
// [Client] finds the queue itself, and checks the number of shards.
//
// The error is a *ValidationError of the session, or says how many shards there may be.
func FollowQueue(shards int, s Session) (string, error) {
	layout, err := session.NewShards(shards)
	if err != nil {
		return "", fmt.Errorf("the number of shards %w", err)
	}
	job := s.job()
	if err := job.Validate(); err != nil {
		return "", err
	}
	return layout.Of(job.ID()).Queue(queue.Follow), nil
}
