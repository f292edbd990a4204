package admin

import (
	"context"
	"errors"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// ErrOutcomeFirst says that a session was not cancelled, because it had its outcome before.
var ErrOutcomeFirst = errors.New("the session had its outcome before it was cancelled")

// Cancel stops a session and has it removed at MarkSign. It is an outcome like
// any other, written once: nothing is posted. Whoever follows the session polls it no
// more within a third of a lease, and what a poll under way brings is dropped.
//
// Cancelling a cancelled session is no error, and makes sure that it is brought to
// its end. A session whose task an operator deleted while it was followed is
// cancelled too, but nobody can remove it any more: its Removal is "unknown".
//
// Cancel returns ErrOutcomeFirst, with the status, if another outcome was first,
// and otherwise the errors of [Sessions.Status], queue.ErrNewerPayload and, for a
// task that somebody changed in Redis, queue.ErrOtherSession. After an error of Redis
// the session may or may not be cancelled, and repeating the call is safe.
func (s *Sessions) Cancel(ctx context.Context, name session.Name) (Status, error) {
	seen, err := s.look(ctx, name)
	if err != nil {
		return Status{}, err
	}
	if seen.record.State == outcome.None && !seen.waits() {
		return Status{}, ErrNoSession
	}
	job, err := s.job(name.ID(), seen)
	if err != nil {
		return Status{}, err
	}
	record, err := s.cancel(ctx, name.ID(), job)
	if err != nil {
		return Status{}, err
	}
	if record.State == outcome.None {
		return Status{}, ErrNoSession // forgotten meanwhile
	}
	status, err := s.status(name.ID(), record)
	if err == nil && record.State != outcome.Cancelled {
		err = ErrOutcomeFirst
	}
	return status, err
}

// job is what the session's task carries, or the task of its removal; nil if both
// are gone.
func (s *Sessions) job(id string, seen sighting) (*session.Job, error) {
	task := seen.task
	if task == nil {
		removal, err := s.tasks.Find(queue.Remove, id)
		if err != nil || removal == nil {
			return nil, err
		}
		task = removal
	}
	job, err := queue.DecodeAs(id, task.Payload)
	if err != nil {
		return nil, err
	}
	return &job, nil
}

// cancel notes first that the session is cancelled and that session:remove removes
// it. Whoever finds the note without the task makes the task: so a process that
// dies in between leaves the rest to the run of the follow task when its lease
// ends, or to a repeated call.
func (s *Sessions) cancel(ctx context.Context, id string, job *session.Job) (outcome.Record, error) {
	if job == nil {
		return s.cancelUnremoved(ctx, outcome.Session{ID: id})
	}
	change, err := s.records.Cancel(ctx, outcome.Of(*job), outcome.RemovalHanded)
	record := change.Record
	if err != nil || record.State != outcome.Cancelled {
		return record, err
	}
	if record.Removal == outcome.RemovalHanded {
		// asynq keeps due times in whole seconds.
		if err := s.tasks.EnsureRemoval(ctx, *job, outcome.RemovalDelay+time.Second); err != nil {
			return record, err
		}
	}
	return record, s.endTask(ctx, id)
}

// cancelUnremoved cancels a session of which only the record is left.
func (s *Sessions) cancelUnremoved(ctx context.Context, known outcome.Session) (outcome.Record, error) {
	change, err := s.records.Cancel(ctx, known, outcome.RemovedUnknown)
	record := change.Record
	if err != nil || record.State != outcome.Cancelled || record.Removal != outcome.RemovalHanded {
		return record, err
	}
	// It was cancelled before, and the tasks were deleted since.
	change, err = s.records.EndRemoval(ctx, known, outcome.RemovedUnknown)
	return change.Record, err
}

// endTask has the follow task run now, which ends it. If that is running just
// now, its run may have read the record before the note: it is run again. What
// does not end by this ends when its lease does.
func (s *Sessions) endTask(ctx context.Context, id string) error {
	const (
		tries = 5
		pause = 200 * time.Millisecond
	)
	for try := 1; ; try++ {
		running, err := s.following.Of(id).Release(ctx, []string{id})
		if err != nil || len(running) == 0 || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
