package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
)

// taskList is the tasks of our queues, as asynq's client and inspector see them.
type taskList struct {
	client    *asynq.Client
	inspector *asynq.Inspector
}

func newTaskList(rdb redis.UniversalClient) taskList {
	return taskList{asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)}
}

// ensure makes sure that a task is on its way: it is enqueued, or it is there
// already, and where it was finished or archived it is run again.
func (l taskList) ensure(ctx context.Context, queue, id string, task *asynq.Task, after time.Duration) error {
	for range 2 {
		_, err := l.client.EnqueueContext(ctx, task, asynq.ProcessIn(after))
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

func (l taskList) ensureDelivery(ctx context.Context, job tasks.Followed, after time.Duration) error {
	task, err := tasks.NewDeliverTask(job)
	if err != nil {
		return err
	}
	return l.ensure(ctx, tasks.QueueDeliver, job.ID(), task, after)
}

func (l taskList) ensureRemoval(ctx context.Context, job tasks.Followed, after time.Duration) error {
	task, err := tasks.NewRemoveTask(job)
	if err != nil {
		return err
	}
	return l.ensure(ctx, tasks.QueueRemove, job.ID(), task, after)
}

// find returns a task, nil where there is none.
func (l taskList) find(queue, id string) (*asynq.TaskInfo, error) {
	info, err := l.inspector.GetTaskInfo(queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return nil, nil //nolint:nilnil // none is an answer
	case err != nil:
		return nil, fmt.Errorf("looking at a task of %s: %w", queue, err)
	}
	return info, nil
}

// rerun runs a known task again where it was finished or archived.
func (l taskList) rerun(queue, id string) error {
	info, err := l.inspector.GetTaskInfo(queue, id)
	if err != nil {
		return fmt.Errorf("looking at a task of %s: %w", queue, err)
	}
	if info.State != asynq.TaskStateArchived && info.State != asynq.TaskStateCompleted {
		return nil
	}
	if err := l.inspector.RunTask(queue, id); err != nil {
		return fmt.Errorf("running a task of %s again: %w", queue, err)
	}
	return nil
}

// ended reports whether a task was finished, or is not there.
func (l taskList) ended(queue, id string) bool {
	info, err := l.inspector.GetTaskInfo(queue, id)
	return errors.Is(err, asynq.ErrTaskNotFound) || err == nil && info.State == asynq.TaskStateCompleted
}

// revive makes sure that somebody goes on with a session whose record stands
// further back than its task, as when Redis lost a note.
func (w *Worker) revive(ctx context.Context, job tasks.Followed, r outcome.Record) error {
	switch r.State {
	case outcome.Following, outcome.Sealed:
		task, err := tasks.NewFollowTaskAgain(job)
		if err != nil {
			return err
		}
		return w.tasks.ensure(ctx, tasks.QueueFollow, job.ID(), task, 0)
	case outcome.Handed:
		return w.tasks.ensureDelivery(ctx, job, 0)
	}
	return nil
}
