// Package settle ends the tasks of sessions whose work is done: it writes the
// result that asynqmon shows, and shortens the record's life when no other task
// has anything left to do. It also says loudly if a record is lost, and makes sure
// that somebody goes on with a session whose record stands further back than its
// task.
//
// Read settle.go (the end of a task), result.go (what is written), lost.go (a task
// without its record).
package settle

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// Options say how a Settler works. All are required.
type Options struct {
	Records     *outcome.Store
	Tasks       queue.List
	RecordsLost *prometheus.CounterVec // account
	Log         *slog.Logger
}

// Settler ends tasks. It is safe for concurrent use.
type Settler struct{ opts Options }

// New makes a Settler.
func New(opts Options) *Settler { return &Settler{opts} }

// End ends the task with its result. If no other task has anything left to do it
// settles the record, and the session is finished. The error is what the handler
// returns.
func (s *Settler) End(ctx context.Context, t *asynq.Task, job session.Job, r outcome.Record) error {
	if r.State == outcome.None {
		return s.endWithoutRecord(t, job)
	}
	// The result comes first: when the record has expired, it alone says that the
	// story is told.
	if err := writeResult(t, r); err != nil {
		return err
	}
	if t.Type() == queue.TypeFollow || s.opts.Tasks.Ended(queue.Follow, job.ID()) {
		if _, err := s.opts.Records.Settle(ctx, outcome.Of(job)); err != nil {
			return taskserver.NoRedis()
		}
	}
	if r.Removal.IsOver() {
		s.logFinished(job, r)
	}
	return nil
}

// Finished is the follow task of a session that was removed while this process followed
// it. If its event was delivered nobody has anything left to do, as long as the record
// says so; then it expires after the task. It is nil if a run of the task has to see what
// is left.
func (s *Settler) Finished(job session.Job, r outcome.Record) *lease.Finished {
	result, err := encodeResult(r)
	if err != nil || r.State != outcome.Delivered {
		return nil
	}
	s.logFinished(job, r)
	return &lease.Finished{ID: job.ID(), Result: result, Retention: job.Retention, Proof: lease.Proof(s.opts.Records.Removed(outcome.Of(job), r))}
}

// logFinished writes the one line that an operator reads of a session. Its times
// are in seconds, by Redis's clock; one that never came is 0.
func (s *Settler) logFinished(job session.Job, r outcome.Record) {
	s.opts.Log.Info("session finished", "session", job.ID(), "account", job.Account,
		"outcome", r.Type, "reason", r.Reason, "delivery", string(r.State), "removal", string(r.Removal),
		"polls", r.Polls, "attempts", r.Attempts, "removals", r.Removals, "final_after", between(r.Started, r.Final),
		"ended_after", between(r.Final, r.Ended), "removed_after", between(r.Ended, r.RemovedAt), "last_error", r.LastError, "last_trouble", r.Trouble)
}

func between(from, to time.Time) float64 {
	if from.IsZero() || to.Before(from) {
		return 0
	}
	return to.Sub(from).Seconds()
}

// Revive makes sure that somebody goes on with a session whose record stands
// further back than its task, as when Redis lost a note.
func (s *Settler) Revive(ctx context.Context, job session.Job, r outcome.Record) error {
	switch r.State {
	case outcome.Following, outcome.Sealed:
		return s.opts.Tasks.EnsureFollow(ctx, job)
	case outcome.Handed:
		return s.opts.Tasks.EnsureDelivery(ctx, job, 0)
	}
	return nil
}
