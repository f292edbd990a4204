package tasks

import (
	"cmp"
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
// [Client.Enqueue] does the same and also fixes a follow task that somebody archived.
//
// The task is not signed; see [NewSignedFollowTask].
func NewFollowTask(s Session, retention time.Duration) (*asynq.Task, error) {
	return NewSignedFollowTask(PayloadKey{}, s, retention)
}

// NewSignedFollowTask is NewFollowTask for workers that have TASK_KEYS for the
// session's account: the key, one of them, signs the payload. The zero key signs
// nothing.
func NewSignedFollowTask(key PayloadKey, s Session, retention time.Duration) (*asynq.Task, error) {
	job := s.job()
	if err := job.Validate(); err != nil {
		return nil, err
	}
	job.Retention = cmp.Or(retention, DefaultRetention)
	return queue.NewFollowTask(queue.Sign(job, key))
}
