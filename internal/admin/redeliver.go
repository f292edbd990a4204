package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Why an event is not delivered again.
var (
	ErrNoRecord     = errors.New("no record of this session: it was never followed, or its time is over")
	ErrDataErased   = errors.New("delivered already: its data is erased")
	ErrResultErased = errors.New("the sealed result is erased: the redelivery window is over")
	ErrCancelled    = errors.New("cancelled by the application: nothing is posted")
	ErrNotGivenUp   = errors.New("not given up: it is being followed or delivered")
)

// GivenUp is a delivery that was given up and can be made again.
type GivenUp struct {
	Job         session.Job
	At          time.Time // by Redis's clock
	Attempts    int
	LastError   string
	Redelivered bool // it is being delivered again
}

// GivenUp returns the deliveries that were given up since a time and can be made
// again, oldest first; with the zero time, all.
func (s *Sessions) GivenUp(ctx context.Context, since time.Time) ([]GivenUp, error) {
	ids, err := s.records.GivenUp(ctx, since)
	if err != nil {
		return nil, err
	}
	var list []GivenUp
	for _, id := range ids {
		given, err := s.findGivenUp(ctx, id)
		switch {
		case err == nil:
			list = append(list, given)
		case !IsRefusal(err):
			return nil, err
		}
	}
	return list, nil
}

// FindGivenUp returns the given-up delivery of one session. The error is one of
// those above, or of Redis.
func (s *Sessions) FindGivenUp(ctx context.Context, name session.Name) (GivenUp, error) {
	return s.findGivenUp(ctx, name.ID())
}

func (s *Sessions) findGivenUp(ctx context.Context, id string) (GivenUp, error) {
	r, err := s.records.Read(ctx, outcome.Session{ID: id})
	if err != nil {
		return GivenUp{}, err
	}
	job, err := redeliverable(id, r)
	if err != nil {
		return GivenUp{}, err
	}
	return GivenUp{job, r.Ended, r.Attempts, r.LastError, r.State == outcome.Redelivering}, nil
}

// IsRefusal reports whether an error says that an event is not delivered again,
// and not that Redis could not tell.
func IsRefusal(err error) bool {
	for _, refusal := range []error{ErrNoRecord, ErrDataErased, ErrResultErased, ErrCancelled, ErrNotGivenUp} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// redeliverable returns the task of a delivery that can be made again, or why
// it cannot.
func redeliverable(id string, r outcome.Record) (session.Job, error) {
	switch r.State {
	case outcome.None:
		return session.Job{}, ErrNoRecord
	case outcome.Delivered:
		return session.Job{}, ErrDataErased
	case outcome.Cancelled:
		return session.Job{}, ErrCancelled
	case outcome.GivenUp, outcome.Redelivering:
		if !r.HasSealed() {
			return session.Job{}, ErrResultErased
		}
		return decodeTask(id, r.Task)
	}
	return session.Job{}, ErrNotGivenUp
}

// decodeTask takes a task that cannot be read, or is another session's, for one
// that is gone.
func decodeTask(id string, payload []byte) (session.Job, error) {
	job, err := queue.DecodeAs(id, payload)
	if err != nil {
		return session.Job{}, fmt.Errorf("%w (%w)", ErrNoRecord, err)
	}
	return job, nil
}

// Redeliver has a given-up event posted once more, under its webhook-id and by
// the schedule of a first delivery, within a delivery window and for no longer
// than its sealed result is kept. Repeating it is safe. The error is one of those
// above, or of Redis.
func (s *Sessions) Redeliver(ctx context.Context, name session.Name) error {
	change, err := s.records.Redeliver(ctx, outcome.Session{ID: name.ID()})
	if err != nil {
		return err
	}
	job, err := redeliverable(name.ID(), change.Record)
	switch {
	case err != nil:
		return err
	case !change.Applied:
		return ErrNotGivenUp
	}
	if asked := change.Record.Redelivered; !asked.Equal(change.Record.Now) {
		return s.tasks.EnsureDelivery(ctx, job, 0)
	}
	return s.ensureNew(ctx, job)
}

const (
	endingPause    = 100 * time.Millisecond
	endingPatience = 5 * time.Second
)

// ensureNew makes sure of the task after the record was changed. One that runs
// just now may be the run that gave up, about to end: it is waited for.
func (s *Sessions) ensureNew(ctx context.Context, job session.Job) error {
	for begun := time.Now(); ; {
		if err := s.tasks.EnsureDelivery(ctx, job, 0); err != nil {
			return err
		}
		info, err := s.tasks.Find(queue.Deliver, job.ID())
		ended := info == nil || info.State == asynq.TaskStateCompleted
		switch {
		case err != nil:
			return err
		case !ended && info.State != asynq.TaskStateActive, time.Since(begun) > endingPatience:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(endingPause):
		}
	}
}
