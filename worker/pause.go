package worker

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	sess "github.com/identwatch/identwatch/internal/session"
)

// pause is what a handler returns when its task is to run again. Its text is
// stored in Redis and shown in asynqmon, so it holds nothing personal.
type pause struct {
	after  time.Duration
	why    string
	failed bool // counted as a failure, and as a retry, by asynq
}

func (p *pause) Error() string { return p.why }

// Handlers that only wait return these; they are no failures.
func errFollowing(lease time.Duration) error {
	return &pause{lease, "following: a worker polls MarkSign until the person has confirmed or refused; no failure", false}
}

func errFull(after time.Duration) error {
	return &pause{after, "waiting: this worker follows as many sessions of the account as FOLLOW_LIMIT allows; no failure", false}
}

func errRefused(after time.Duration, why refusal) error {
	return &pause{after, "waiting: " + why.String() + "; no failure", false}
}

func errClaimed(left time.Duration) error {
	return &pause{left + time.Second, "waiting: another post of the same event may still be under way; no failure", false}
}

func errAccount() error {
	return &pause{time.Minute, "waiting: this worker does not know the session's account", false}
}

func errUnsigned() error {
	return &pause{time.Minute, "waiting: the task is not signed with a key of the account's TASK_KEYS; sign it with one of them, or delete it", false}
}

// errRedis hides what Redis said from the text that Redis keeps.
func errRedis() error {
	return &pause{time.Second, "waiting: the session's record in Redis could not be reached", false}
}

// errPayload says what becomes of a task that cannot be read: a later release's
// waits for a later worker, and every other is archived.
func errPayload(err error) error {
	if errors.Is(err, queue.ErrNewerPayload) {
		return &pause{time.Minute, err.Error(), false}
	}
	return errors.Join(err, asynq.SkipRetry)
}

// errOtherSession is what a task ends with whose payload is another session's.
var errOtherSession = errors.New("the task's payload names another session than its id: somebody changed it in Redis; enqueue the session again")

// decode reads a task's payload, which must be of the session that the task is
// named for. The error is what the handler returns.
func (w *Worker) decode(t *asynq.Task) (sess.Job, error) {
	job, err := queue.Decode(t.Payload())
	if err != nil {
		return sess.Job{}, errPayload(err)
	}
	if id := t.ResultWriter().TaskID(); id != job.ID() {
		w.log.Error("a task's payload names another session than its id; it is archived", "session", id, "task", t.Type())
		return sess.Job{}, errPayload(errOtherSession)
	}
	return job, nil
}

// retryDelay is asynq's RetryDelayFunc of all queues.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var p *pause
	switch {
	case errors.As(err, &p):
		return p.after
	case errors.Is(err, asynq.ErrLeaseExpired), errors.Is(err, context.Canceled):
		return 0
	}
	return time.Second
}

// isFailure is asynq's IsFailure of all queues. asynq.ErrLeaseExpired is a dead
// worker, and no failure of the task.
func isFailure(err error) bool {
	var p *pause
	if errors.As(err, &p) {
		return p.failed
	}
	return !errors.Is(err, asynq.ErrLeaseExpired) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
