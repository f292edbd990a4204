package taskserver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Pause is what a handler returns if its task is to run again. Redis stores its
// text and asynqmon shows it, so it holds nothing personal.
type Pause struct { //nolint:errname // asynq wants an error; to those who read it, it is a pause
	After  time.Duration
	Why    string
	Failed bool // asynq counts it as a failure and as a retry
}

// Error is Why.
func (p *Pause) Error() string { return p.Why }

// Wait is what a handler returns that only waits.
func Wait(after time.Duration, why string) error {
	return &Pause{after, "waiting: " + why + "; no failure", false}
}

// Following is what the handler of session:follow returns while the process follows
// the session: the task waits for the end of the lease.
func Following(lease time.Duration) error {
	return &Pause{lease, "following: a worker polls MarkSign until the person has confirmed or refused; no failure", false}
}

// Retry is what a handler returns that failed and tries again.
func Retry(after time.Duration, why string) error { return &Pause{after, why, true} }

// NoRedis is what a handler returns that could not reach the session's record. It
// hides what Redis said from the text that Redis stores.
func NoRedis() error {
	return &Pause{time.Second, "waiting: the session's record in Redis could not be reached", false}
}

// Unsigned is what a handler returns if nobody vouches for its task.
func Unsigned() error {
	return &Pause{time.Minute, "waiting: the task is not signed with a key of the account's TASK_KEYS; sign it with one of them, or delete it", false}
}

// NoAccount is what a handler returns if its task is of an unknown account.
func NoAccount() error {
	return &Pause{time.Minute, "waiting: this worker does not know the session's account", false}
}

// Claimed is what a handler returns if another post of the event may be under way
// for that long.
func Claimed(left time.Duration) error {
	return Wait(left+time.Second, "another post of the same event may still be under way")
}

// errPayload says what becomes of a task that cannot be read: a later release's
// waits for a later worker, and every other is archived.
func errPayload(err error) error {
	if errors.Is(err, queue.ErrNewerPayload) {
		return &Pause{time.Minute, err.Error(), false}
	}
	return errors.Join(err, asynq.SkipRetry)
}

// Open reads the payload of a running task, which must be of the session that the
// task is named for. The error is what the handler returns.
func Open(t *asynq.Task, log *slog.Logger) (session.Job, error) {
	id := t.ResultWriter().TaskID()
	job, err := queue.DecodeAs(id, t.Payload())
	if errors.Is(err, queue.ErrOtherSession) {
		log.Error("a task's payload names another session than its id; it is archived", "session", id, "task", t.Type())
	}
	if err != nil {
		return session.Job{}, errPayload(err)
	}
	return job, nil
}

// retryDelay is asynq's RetryDelayFunc of all queues.
func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var p *Pause
	switch {
	case errors.As(err, &p):
		return p.After
	case errors.Is(err, asynq.ErrLeaseExpired), errors.Is(err, context.Canceled):
		return 0
	}
	return time.Second
}

// isFailure is asynq's IsFailure of all queues. asynq.ErrLeaseExpired is a dead
// worker, and no failure of the task.
func isFailure(err error) bool {
	var p *Pause
	if errors.As(err, &p) {
		return p.Failed
	}
	return !errors.Is(err, asynq.ErrLeaseExpired) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
