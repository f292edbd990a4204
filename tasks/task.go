package tasks

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/hibiken/asynq"
)

// The task types, as asynqmon shows them.
const (
	TypeFollow  = "session:follow"
	TypeDeliver = "webhook:deliver"
	TypeRemove  = "session:remove"
)

// The queues. Each has an asynq server of its own in the worker, with its own
// concurrency, so that none holds up another.
const (
	QueueFollow  = "identwatch-follow"
	QueueDeliver = "identwatch-deliver"
	QueueRemove  = "identwatch-remove"
)

// Retention is how long a finished task is kept. While it is kept, a second
// Enqueue of its session is a duplicate.
const (
	DefaultRetention = 24 * time.Hour
	MinRetention     = time.Hour
	MaxRetention     = 30 * 24 * time.Hour
)

// runTimeout is asynq's timeout of every task. asynq keeps it with the task, so it
// is the same for all processes and too long to matter: a worker bounds its runs by
// its own settings, and never by those of the process that enqueued the task.
const runTimeout = 24 * time.Hour

// NewFollowTask makes the asynq task that has a session followed, for those who
// hold an asynq.Client: client.EnqueueContext(ctx, task) is all it needs, for
// the task carries its queue, id and options, and other options must not be
// added. A duplicate is answered with asynq.ErrTaskIDConflict. A retention of
// zero is DefaultRetention. The error is a *ValidationError, or names the retention.
//
// [Client.Enqueue] does the same and also mends a follow task that somebody archived.
//
// The task is not signed; see [NewSignedFollowTask].
func NewFollowTask(s Session, retention time.Duration) (*asynq.Task, error) {
	return NewSignedFollowTask(PayloadKey{}, s, retention)
}

// NewSignedFollowTask is NewFollowTask for workers that have TASK_KEYS for the
// session's account: the key, one of them, signs the payload. The zero key signs
// nothing.
func NewSignedFollowTask(key PayloadKey, s Session, retention time.Duration) (*asynq.Task, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	f := Followed{Session: s, Retention: cmp.Or(retention, DefaultRetention)}
	if !key.IsZero() {
		f.signature = key.sign(f)
	}
	return newTask(TypeFollow, QueueFollow, f)
}

// NewFollowTaskAgain makes the follow task of a session again from another task of
// it, with its signature. Workers enqueue it; applications do not.
func NewFollowTaskAgain(f Followed) (*asynq.Task, error) {
	return newTask(TypeFollow, QueueFollow, f)
}

// NewDeliverTask makes the task that posts a sealed event again and again.
// Workers enqueue it; applications do not.
func NewDeliverTask(f Followed) (*asynq.Task, error) {
	return newTask(TypeDeliver, QueueDeliver, f)
}

// NewRemoveTask makes the task that removes a session at MarkSign. Workers
// enqueue it; applications do not.
func NewRemoveTask(f Followed) (*asynq.Task, error) {
	return newTask(TypeRemove, QueueRemove, f)
}

func newTask(typ, queue string, f Followed) (*asynq.Task, error) {
	retention := cmp.Or(f.Retention, DefaultRetention)
	f.Retention = retention
	if retention < MinRetention || retention > MaxRetention {
		return nil, fmt.Errorf("a retention of %v is not between %v and %v", retention, MinRetention, MaxRetention)
	}
	data, err := encode(f)
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(typ, data,
		asynq.Queue(queue),
		asynq.TaskID(f.ID()),
		// asynq archives a task whose retries are used up before it asks whether
		// the run failed at all, and a follow task that merely waits is retried.
		asynq.MaxRetry(math.MaxInt32),
		asynq.Timeout(runTimeout),
		asynq.Retention(retention),
	), nil
}
