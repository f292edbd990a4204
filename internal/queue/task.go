package queue

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/session"
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
	Follow  = "identwatch-follow"
	Deliver = "identwatch-deliver"
	Remove  = "identwatch-remove"
)

// runTimeout is asynq's timeout of every task. asynq keeps it with the task, so it
// is the same for all processes and too long to matter: a worker bounds its runs by
// its own settings, and never by those of the process that enqueued the task.
const runTimeout = 24 * time.Hour

// NewFollowTask makes the task that has a session followed. The error is a
// *session.ValidationError, or names the retention; so is that of the other two.
func NewFollowTask(job session.Job) (*asynq.Task, error) {
	return newTask(TypeFollow, Follow, job)
}

// NewDeliverTask makes the task that posts a sealed event again and again.
func NewDeliverTask(job session.Job) (*asynq.Task, error) {
	return newTask(TypeDeliver, Deliver, job)
}

// NewRemoveTask makes the task that removes a session at MarkSign.
func NewRemoveTask(job session.Job) (*asynq.Task, error) {
	return newTask(TypeRemove, Remove, job)
}

func newTask(typ, queue string, job session.Job) (*asynq.Task, error) {
	job.Retention = cmp.Or(job.Retention, session.DefaultRetention)
	if job.Retention < session.MinRetention || job.Retention > session.MaxRetention {
		return nil, fmt.Errorf("a retention of %v is not between %v and %v", job.Retention, session.MinRetention, session.MaxRetention)
	}
	data, err := encode(job)
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(typ, data,
		asynq.Queue(queue),
		asynq.TaskID(job.ID()),
		// asynq archives a task whose retries are used up before it asks whether
		// the run failed at all, and a follow task that merely waits is retried.
		asynq.MaxRetry(math.MaxInt32),
		asynq.Timeout(runTimeout),
		asynq.Retention(job.Retention),
	), nil
}
