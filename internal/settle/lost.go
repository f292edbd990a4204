package settle

import (
	"encoding/json"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// A record is written before any task that goes on with the session, and is kept
// for longer. So a Redis that lost its last writes lost the task first, and a task
// of webhook:deliver or session:remove whose record is missing means that Redis
// evicted the record, or that somebody deleted it. The session has had its
// outcome then: to follow it again could end in another one.

// The record may also have expired, because the session had nothing left to do and no
// worker ran for longer than it was kept. Then the result of another task says so.

// endWithoutRecord ends a task whose record is missing. The error is what the handler
// returns.
func (s *Settler) endWithoutRecord(t *asynq.Task, job session.Job) error {
	if t.Type() == queue.TypeFollow {
		return s.RecordLost(t, job)
	}
	result, err := s.lastResult(job.ID())
	switch {
	case err != nil:
		return taskserver.NoRedis()
	case result == nil:
		return s.RecordLost(t, job)
	}
	return write(t, result)
}

// lastResult is the result of a task that ended when the session had nothing left to do:
// what was given up may have been asked for again since. It is nil if there is none.
func (s *Settler) lastResult(id string) ([]byte, error) {
	for _, q := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		info, err := s.opts.Tasks.Find(q, id)
		if err != nil {
			return nil, err
		}
		var r Result
		if info != nil && info.State == asynq.TaskStateCompleted && json.Unmarshal(info.Result, &r) == nil && r.Removal.IsOver() && r.Delivery != outcome.GivenUp {
			return info.Result, nil
		}
	}
	return nil, nil //nolint:nilnil // none is an answer
}

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
