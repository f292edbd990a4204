package tasks

import (
	"bytes"
	"cmp"
	"context"
	"errors"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Enqueue has the session followed. Once it returned nil, the session's event is
// posted until a receiver acknowledges it or the delivery window is over. It
// returns a *ValidationError for a session that is refused, ErrDuplicate for one
// that is known, ErrShards, and otherwise an error that says what is wrong with Redis and what
// to do. Then the session may or may not be in, and repeating the call is safe. It
// returns when ctx ends, with an error that wraps ctx's.
//
// A follow task that was archived is set to run again, which is no duplicate. If it
// says something else than s, as when somebody changed it in Redis, s takes its place.
func (c *Client) Enqueue(ctx context.Context, s Session) error {
	s.Account = cmp.Or(s.Account, c.account)
	task, err := NewSignedFollowTask(c.key, s, c.retention)
	if err != nil {
		return err
	}
	err = bounded(ctx, func() error {
		if err := c.agree(ctx); err != nil {
			return err
		}
		return c.enqueuer.enqueue(ctx, task, s.ID())
	})
	return c.toldOf(err)
}

// toldOf is the error that the caller gets for an error of the enqueuer.
func (c *Client) toldOf(err error) error {
	if err == nil || errors.Is(err, ErrDuplicate) || errors.Is(err, ErrShards) {
		return err
	}
	return explain(enqueueing, err, c.dial.Load())
}

// enqueuer enqueues follow tasks.
type enqueuer struct {
	redis     redis.UniversalClient
	shards    session.Shards
	asynq     *asynq.Client
	inspector *asynq.Inspector
}

func newEnqueuer(rdb redis.UniversalClient, shards session.Shards) enqueuer {
	rdb = queue.Known(rdb, shards)
	return enqueuer{rdb, shards, asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)}
}

// queueOf is the queue of the session with this id.
func (e enqueuer) queueOf(id string) string { return e.shards.Of(id).Queue(queue.Follow) }

func (e enqueuer) enqueue(ctx context.Context, task *asynq.Task, id string) error {
	_, err := e.asynq.EnqueueContext(ctx, task, asynq.Queue(e.queueOf(id)))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return e.enqueueKnown(ctx, task, id)
	}
	return err
}

// enqueueKnown answers for a task whose id is taken: an archived one is run
// again, one that ended between the two looks is enqueued again, and every other
// is a duplicate.
func (e enqueuer) enqueueKnown(ctx context.Context, task *asynq.Task, id string) error {
	info, err := e.inspector.GetTaskInfo(e.queueOf(id), id)
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound):
		// Redis lost its data since the first Enqueue. asynq's client registers a
		// queue once, and a new one does it again.
		_, err = asynq.NewClientFromRedisClient(e.redis).EnqueueContext(ctx, task, asynq.Queue(e.queueOf(id)))
		if errors.Is(err, asynq.ErrTaskIDConflict) {
			return ErrDuplicate
		}
	case errors.Is(err, asynq.ErrTaskNotFound):
		_, err = e.asynq.EnqueueContext(ctx, task, asynq.Queue(e.queueOf(id)))
		if errors.Is(err, asynq.ErrTaskIDConflict) {
			return ErrDuplicate
		}
	case err == nil && info.State == asynq.TaskStateArchived:
		err = e.runArchived(ctx, task, info)
	case err == nil:
		return ErrDuplicate
	}
	return err
}

// runArchived runs an archived task again. If another caller was first, the
// session is in, and this call is the duplicate.
func (e enqueuer) runArchived(ctx context.Context, task *asynq.Task, archived *asynq.TaskInfo) error {
	if !bytes.Equal(archived.Payload, task.Payload()) {
		return e.replace(ctx, task, archived.ID)
	}
	err := e.inspector.RunTask(archived.Queue, archived.ID)
	if err == nil {
		return nil
	}
	if info, lookErr := e.inspector.GetTaskInfo(archived.Queue, archived.ID); lookErr == nil && info.State != asynq.TaskStateArchived {
		return ErrDuplicate
	}
	return err
}

// replace puts the task in the place of an archived one, because that says something
// else: a worker may have refused it for that, and would do so again.
func (e enqueuer) replace(ctx context.Context, task *asynq.Task, id string) error {
	if err := e.inspector.DeleteTask(e.queueOf(id), id); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
		if info, lookErr := e.inspector.GetTaskInfo(e.queueOf(id), id); lookErr == nil && info.State != asynq.TaskStateArchived {
			return ErrDuplicate // another caller was first, and its task runs
		}
		return err
	}
	_, err := e.asynq.EnqueueContext(ctx, task, asynq.Queue(e.queueOf(id)))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return ErrDuplicate
	}
	return err
}
