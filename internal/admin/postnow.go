package admin

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// ErrNoAttempt says that no attempt is planned for a session's event: there is no
// event yet, or it is delivered, given up or cancelled.
var ErrNoAttempt = errors.New("no event of this session waits to be posted again")

// PostNow makes a worker look at a session's event now, instead of when its next attempt
// is due: it posts the event, unless another worker is doing so or the circuit of its
// host is open. PostNow returns ErrNoAttempt if no attempt is planned, and otherwise what
// Redis answered. Repeating it is safe.
func (s *Sessions) PostNow(ctx context.Context, name session.Name) error {
	task, err := s.tasks.Find(queue.Deliver, name.ID())
	if err != nil {
		return err
	}
	if task == nil || task.State != asynq.TaskStateRetry && task.State != asynq.TaskStateScheduled {
		return ErrNoAttempt
	}
	_, err = s.delivering.Of(name.ID()).ReleaseAll(ctx, []string{name.ID()})
	return err
}
