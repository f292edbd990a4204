// Package take makes this process the holder of a session, in the session's record,
// if the task may be believed. It decides nothing about what the session does next.
package take

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// Options say how a Taker works. All are required.
type Options struct {
	Records *outcome.Store
	Holder  string       // names this process in the records
	Tasks   lease.Queues // of session:follow
	// Further are the queues of the tasks that come after an outcome.
	Further   []lease.Queues
	TakenOver *prometheus.CounterVec // account
	Refused   *prometheus.CounterVec // account
	Unknown   prometheus.Counter     // runs of tasks whose account nobody here knows
	Log       *slog.Logger
}

// Taker takes sessions. It is safe for concurrent use.
type Taker struct {
	opts    Options
	taken   atomic.Int64   // over from others, and not logged yet
	unknown rate.Sometimes // bounds the log of tasks that wait for an account
}

// New makes a Taker.
func New(opts Options) *Taker {
	return &Taker{opts: opts, unknown: rate.Sometimes{Interval: time.Minute}}
}

// Leave leaves a task to a worker that knows its account. The log reports sessions
// that nobody would ever take. The error is what the handler returns.
func (t *Taker) Leave(ctx context.Context, job session.Job) error {
	if _, err := t.opts.Records.Keep(ctx, outcome.Of(job)); err != nil {
		t.opts.Log.Debug("keeping a record failed", "session", job.ID(), "error", err)
	}
	t.opts.Unknown.Inc()
	t.unknown.Do(func() {
		t.opts.Log.Warn("sessions wait for an account that this worker does not have; name it in ACCOUNTS, or have them enqueued with another", "account", job.Account)
	})
	return taskserver.NoAccount()
}

// Vouch refuses a task that is not signed, unless the session has its outcome: then
// the task decides nothing any more. The error is what the handler returns.
func (t *Taker) Vouch(ctx context.Context, a *account.Account, job session.Job) error {
	if a.Believes(job) {
		return nil
	}
	r, err := t.opts.Records.Read(ctx, outcome.Of(job))
	ended := r.State != outcome.None && r.State != outcome.Following
	if err == nil && r.State == outcome.None {
		ended, err = t.WentFurther(ctx, job)
	}
	switch {
	case err != nil:
		return taskserver.NoRedis()
	case !ended:
		t.Refuse(a, job)
		return taskserver.Unsigned()
	}
	return nil
}

// Refuse counts and logs a task that is not signed: what nobody signed is not acted
// on, and what was forgotten when the keys were set up is not lost.
func (t *Taker) Refuse(a *account.Account, job session.Job) {
	t.opts.Refused.WithLabelValues(a.Name()).Inc()
	a.WarnUnsigned(job.ID())
}

// Take makes this process the session's holder, unless it is full. A session that
// already had its outcome gets no new record. The error is what the handler returns.
func (t *Taker) Take(ctx context.Context, job session.Job, full bool) (outcome.Record, error) {
	r, err := t.take(ctx, job, full)
	if err != nil {
		t.opts.Log.Error("taking a session failed", "session", job.ID(), "error", err)
		return r, taskserver.NoRedis()
	}
	return r, nil
}

func (t *Taker) take(ctx context.Context, job session.Job, full bool) (outcome.Record, error) {
	if full {
		return t.opts.Records.Read(ctx, outcome.Of(job))
	}
	return t.opts.Records.Follow(ctx, outcome.Of(job), t.opts.Holder, t.evidence(job))
}

// evidence is what WentFurther looks at.
func (t *Taker) evidence(job session.Job) outcome.Evidence {
	id := job.ID()
	told := outcome.Evidence{Hash: t.opts.Tasks.Of(id).TaskKey(id), Field: lease.ResultField}
	for _, queues := range t.opts.Further {
		told.Keys = append(told.Keys, queues.Of(id).TaskKey(id))
	}
	return told
}

// WentFurther reports whether a task proves that the session had its outcome. The task
// session:follow itself does if it ended before: an operator may run it again after
// its record has expired.
func (t *Taker) WentFurther(ctx context.Context, job session.Job) (bool, error) {
	return lease.WentFurther(ctx, t.opts.Tasks, t.opts.Further, job.ID())
}

// Count counts a session that another worker, or this one before, had followed.
func (t *Taker) Count(a *account.Account, r outcome.Record) {
	if r.Now.Sub(r.Started) >= time.Second {
		t.opts.TakenOver.WithLabelValues(a.Name()).Inc()
		t.taken.Add(1)
	}
}

// Spread is before the first poll of a session that another worker had: when one
// hands thousands over, they are not polled all at once. It is short, because a person
// waits, and a lease may just have run out.
func Spread(r outcome.Record) time.Duration {
	if r.Now.Sub(r.Started) < time.Second {
		return 0
	}
	return rand.N(300 * time.Millisecond) //nolint:gosec // a spread is no secret
}

// LogTakeovers says once a second how many sessions were taken over, until ctx ends.
func (t *Taker) LogTakeovers(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if n := t.taken.Swap(0); n > 0 {
				t.opts.Log.Info("took sessions over that another worker, or this one before, had followed", "sessions", n)
			}
		}
	}
}
