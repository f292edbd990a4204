package tasks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
)

// ErrDuplicate says that the session is known already: it is being followed, or
// was finished within the retention. Nothing was changed. After an Enqueue
// whose answer was lost it means that the session is in; go-redis repeats such a
// call itself, so that even a first Enqueue may return it when a connection broke.
var ErrDuplicate = errors.New("the session is already being followed, or was finished recently")

// ClientConfig says how a Client reaches Redis.
type ClientConfig struct {
	// RedisURL is read by OpenRedis. Used if Redis is nil. The Client returns what
	// goes wrong and writes nothing; only about sentinels go-redis writes to standard
	// error, unless the application calls logging.Disable of go-redis.
	RedisURL string
	// Redis is a client that the application holds already; Close leaves it open.
	// Calls end with their contexts whatever its options, but one without
	// ContextTimeoutEnabled keeps a connection busy until its own time-outs.
	Redis redis.UniversalClient
	// Retention is how long a finished task is kept, between MinRetention and
	// MaxRetention. Zero: DefaultRetention.
	Retention time.Duration
	// Account is that of sessions that name none. Empty: DefaultAccount.
	Account string
	// PayloadKey signs the sessions, for workers that have TASK_KEYS for their
	// account. Zero: they are not signed.
	PayloadKey PayloadKey
}

// Client enqueues sessions. It is safe for concurrent use.
type Client struct {
	asynq     *asynq.Client
	inspector *asynq.Inspector
	redis     redis.UniversalClient
	owned     bool
	retention time.Duration
	account   string
	key       PayloadKey
	dial      atomic.Pointer[dialError] // that failed last; nil after one that did not
}

// NewClient makes a Client. It does not connect to Redis.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Retention != 0 && (cfg.Retention < MinRetention || cfg.Retention > MaxRetention) {
		return nil, fmt.Errorf("a retention of %v is not between %v and %v", cfg.Retention, MinRetention, MaxRetention)
	}
	c := &Client{redis: cfg.Redis, retention: cfg.Retention, account: cfg.Account, key: cfg.PayloadKey}
	if c.redis == nil {
		opened, err := OpenRedis(cfg.RedisURL)
		if err != nil {
			return nil, err
		}
		opened.AddHook(quiet{&c.dial})
		c.redis, c.owned = opened, true
	}
	c.asynq = asynq.NewClientFromRedisClient(c.redis)
	c.inspector = asynq.NewInspectorFromRedisClient(c.redis)
	return c, nil
}

// Close closes the connections that the Client opened itself.
func (c *Client) Close() error {
	if !c.owned {
		return nil
	}
	return c.redis.Close()
}

// Enqueue has the session followed. Once it returned nil, the session's event is
// posted until a receiver acknowledges it or the delivery window is over. It
// returns a *ValidationError for a session that is refused, ErrDuplicate for one
// that is known, and otherwise an error that says what is wrong with Redis and what
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
	err = bounded(ctx, func() error { return c.enqueue(ctx, task, s.ID()) })
	if err != nil && !errors.Is(err, ErrDuplicate) {
		return explain(err, c.dial.Load())
	}
	return err
}

func (c *Client) enqueue(ctx context.Context, task *asynq.Task, id string) error {
	_, err := c.asynq.EnqueueContext(ctx, task)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return c.enqueueKnown(ctx, task, id)
	}
	return err
}

// enqueueKnown answers for a task whose id is taken: an archived one is run
// again, one that ended between the two looks is enqueued anew, and every other
// is a duplicate.
func (c *Client) enqueueKnown(ctx context.Context, task *asynq.Task, id string) error {
	info, err := c.inspector.GetTaskInfo(queue.Follow, id)
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound):
		// Redis lost its data since the first Enqueue. asynq's client registers a
		// queue once, and a new one does it again.
		_, err = asynq.NewClientFromRedisClient(c.redis).EnqueueContext(ctx, task)
		if errors.Is(err, asynq.ErrTaskIDConflict) {
			return ErrDuplicate
		}
	case errors.Is(err, asynq.ErrTaskNotFound):
		_, err = c.asynq.EnqueueContext(ctx, task)
		if errors.Is(err, asynq.ErrTaskIDConflict) {
			return ErrDuplicate
		}
	case err == nil && info.State == asynq.TaskStateArchived:
		err = c.runArchived(ctx, task, info)
	case err == nil:
		return ErrDuplicate
	}
	return err
}

// runArchived runs an archived task again. If another caller was first, the
// session is in, and this call is the duplicate.
func (c *Client) runArchived(ctx context.Context, task *asynq.Task, archived *asynq.TaskInfo) error {
	if !bytes.Equal(archived.Payload, task.Payload()) {
		return c.replace(ctx, task, archived.ID)
	}
	err := c.inspector.RunTask(queue.Follow, archived.ID)
	if err == nil {
		return nil
	}
	if info, lookErr := c.inspector.GetTaskInfo(queue.Follow, archived.ID); lookErr == nil && info.State != asynq.TaskStateArchived {
		return ErrDuplicate
	}
	return err
}

// replace puts the task in the place of an archived one, because that says something
// else: a worker may have refused it for that, and would do so again.
func (c *Client) replace(ctx context.Context, task *asynq.Task, id string) error {
	if err := c.inspector.DeleteTask(queue.Follow, id); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
		if info, lookErr := c.inspector.GetTaskInfo(queue.Follow, id); lookErr == nil && info.State != asynq.TaskStateArchived {
			return ErrDuplicate // another caller was first, and its task runs
		}
		return err
	}
	_, err := c.asynq.EnqueueContext(ctx, task)
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return ErrDuplicate
	}
	return err
}
