package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

// List is the tasks of our queues, as asynq's client and inspector see them. Its methods
// take a queue by the name that it has in the only shard. It is safe for concurrent use.
type List struct {
	shards    session.Shards
	client    *asynq.Client
	inspector *asynq.Inspector
}

// NewList makes a List of the tasks in this Redis.
func NewList(rdb redis.UniversalClient, shards session.Shards) List {
	rdb = Known(rdb, shards)
	return List{shards, asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)}
}

// nameOf is what asynq calls the queue of a task.
func (l List) nameOf(queue, id string) string { return l.shards.Of(id).Queue(queue) }

// ensure makes sure that a task is on its way: it is enqueued, or it is there
// already, and if it was finished or archived it is run again.
func (l List) ensure(ctx context.Context, queue, id string, task *asynq.Task, after time.Duration) error {
	for range 2 {
		_, err := l.client.EnqueueContext(ctx, task, asynq.Queue(l.nameOf(queue, id)), asynq.ProcessIn(after))
		if err == nil {
			return nil
		}
		if !errors.Is(err, asynq.ErrTaskIDConflict) {
			return fmt.Errorf("enqueueing to %s: %w", queue, err)
		}
		if err = l.rerun(queue, id); !errors.Is(err, asynq.ErrTaskNotFound) {
			return err
		}
	}
	return fmt.Errorf("a task of %s comes and goes", queue)
}

// EnsureFollow makes sure that the session's session:follow runs, now or when it is due.
func (l List) EnsureFollow(ctx context.Context, job session.Job) error {
	task, err := NewFollowTask(job)
	if err != nil {
		return err
	}
	return l.ensure(ctx, Follow, job.ID(), task, 0)
}

// EnsureDelivery makes sure that the session's webhook:deliver runs: a new one
// after the time given, and one that is there when it is due.
func (l List) EnsureDelivery(ctx context.Context, job session.Job, after time.Duration) error {
	task, err := NewDeliverTask(job)
	if err != nil {
		return err
	}
	return l.ensure(ctx, Deliver, job.ID(), task, after)
}

// EnsureRemoval is EnsureDelivery for session:remove.
func (l List) EnsureRemoval(ctx context.Context, job session.Job, after time.Duration) error {
	task, err := NewRemoveTask(job)
	if err != nil {
		return err
	}
	return l.ensure(ctx, Remove, job.ID(), task, after)
}

// Find returns the task of a session in a queue, or nil if there is none.
func (l List) Find(queue, id string) (*asynq.TaskInfo, error) {
	info, err := l.inspector.GetTaskInfo(l.nameOf(queue, id), id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return nil, nil //nolint:nilnil // none is an answer
	case err != nil:
		return nil, fmt.Errorf("looking at a task of %s: %w", queue, err)
	}
	return info, nil
}

// rerun runs a known task again if it was finished or archived.
func (l List) rerun(queue, id string) error {
	info, err := l.inspector.GetTaskInfo(l.nameOf(queue, id), id)
	if err != nil {
		return fmt.Errorf("looking at a task of %s: %w", queue, err)
	}
	if info.State != asynq.TaskStateArchived && info.State != asynq.TaskStateCompleted {
		return nil
	}
	if err := l.inspector.RunTask(l.nameOf(queue, id), id); err != nil {
		return fmt.Errorf("running a task of %s again: %w", queue, err)
	}
	return nil
}

// Ended reports whether a task was finished, or is not there. It is false if Redis
// cannot say.
func (l List) Ended(queue, id string) bool {
	info, err := l.inspector.GetTaskInfo(l.nameOf(queue, id), id)
	return errors.Is(err, asynq.ErrTaskNotFound) || err == nil && info.State == asynq.TaskStateCompleted
}
