package settle

import (
	"errors"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// A record is written before any task that goes on with the session, and is kept
// for longer. So a Redis that lost its last writes lost the task first, and a task
// of webhook:deliver or session:remove whose record is missing means that Redis
// evicted the record, or that somebody deleted it. The session has had its
// outcome then: to follow it again could end in another one.

// errRecordLost is what the operator reads at the archived task.
var errRecordLost = errors.New("the session's record in Redis is lost: see the worker's log and docs/reliability.md")

// RecordLost ends a task whose record is missing, loudly. A task of
// webhook:deliver or session:remove is archived, so that an operator sees it, and
// so that the session is not followed again while it is there. The error is what
// the handler returns.
func (s *Settler) RecordLost(t *asynq.Task, job session.Job) error {
	s.opts.RecordsLost.WithLabelValues(job.Account).Inc()
	s.opts.Log.Error("the session's record in Redis is lost; it is not followed again, because another outcome could come of it",
		"session", job.ID(), "task", t.Type())
	if err := writeResult(t, outcome.Record{}); err != nil {
		return err
	}
	if t.Type() == queue.TypeFollow {
		return nil
	}
	return errors.Join(errRecordLost, asynq.SkipRetry)
}
