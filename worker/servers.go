package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/queue"
)

const (
	// endPause is between two tries to end a task that asynq says is running still.
	endPause = 200 * time.Millisecond

	followConcurrency = 32
	removeConcurrency = 16
)

// servers are the three asynq servers, one for each queue, so that a slow
// receiver holds up neither the taking of sessions nor their removal.
type servers struct {
	follow *asynq.Server
	others []*asynq.Server
}

func (w *Worker) startServers(ctx context.Context) (*servers, error) {
	s := &servers{follow: w.newServer(ctx, queue.Follow, followConcurrency)}
	deliver := w.newServer(ctx, queue.Deliver, w.opts.DeliveryConcurrency)
	remove := w.newServer(ctx, queue.Remove, removeConcurrency)
	s.others = []*asynq.Server{deliver, remove}
	for i, start := range []struct {
		server *asynq.Server
		run    handler
	}{{s.follow, w.follow}, {deliver, w.deliver}, {remove, w.remove}} {
		if err := start.server.Start(w.handling(w.queues[i], start.run)); err != nil {
			return s, fmt.Errorf("starting the task server: %w", err)
		}
	}
	return s, nil
}

func (w *Worker) newServer(ctx context.Context, queue string, concurrency int) *asynq.Server {
	return asynq.NewServerFromRedisClient(newPatient(w.opts.Redis), asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{queue: 1},
		BaseContext:              func() context.Context { return ctx },
		TaskCheckInterval:        100 * time.Millisecond,
		DelayedTaskCheckInterval: 500 * time.Millisecond,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ShutdownTimeout:          w.opts.ShutdownTimeout,
		Logger:                   asynqLogger{w.log.With("queue", queue), w.suspectOrphans},
		LogLevel:                 asynq.InfoLevel,
	})
}

// handler runs a task.
type handler func(context.Context, *asynq.Task) error

// handling is what asynq calls. The run's context ends with the worker and not
// with asynq's: asynq's timeout was stored by whoever enqueued the task, with
// other settings perhaps, and what a receiver or MarkSign answers is noted all
// the same.
func (w *Worker) handling(queue *lease.Queue, run handler) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		w.handlers.Add(1)
		defer w.handlers.Done()
		err := w.guarded(run, t)
		if ctx.Err() != nil {
			w.outlived(queue, t.ResultWriter().TaskID(), err)
		}
		return err
	}
}

// guarded keeps the text of a panic out of Redis, where asynq would store it.
func (w *Worker) guarded(run handler, t *asynq.Task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.logPanic(t.ResultWriter().TaskID(), p)
			err = &pause{30 * time.Second, "a defect in identwatch: see the worker's log", true}
		}
	}()
	return run(w.notes, t)
}

// outlived asks for the pause of a run that asynq stopped waiting for: because of
// a timeout that an older release stored, because asynq's lease ran out, or
// because an operator cancelled the run. asynq retries the task at once, and does
// not see what the run returned. Without a pause to ask for, the next run reads
// from the record what is left to do.
func (w *Worker) outlived(queue *lease.Queue, id string, err error) {
	var p *pause
	if !errors.As(err, &p) {
		return
	}
	const tries = 5
	until := time.Now().Add(p.after)
	for range tries {
		statuses, err := queue.Renew(w.notes, []string{id}, until)
		if err == nil && statuses[0] != lease.Elsewhere {
			return
		}
		select {
		case <-w.notes.Done():
			return
		case <-time.After(endPause):
		}
	}
}

// logPanic logs where it happened, and not what it said, which may be personal.
func (w *Worker) logPanic(session string, p any) {
	w.log.Error("a defect in identwatch", "session", session, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// stopFollowing takes no more sessions. It returns when the handlers did.
func (s *servers) stopFollowing() { s.follow.Shutdown() }

// stopTaking takes no more tasks of the other queues, so that no post begins
// that would outlast the stop.
func (s *servers) stopTaking() {
	for _, server := range s.others {
		server.Stop()
	}
}

// stop ends the other servers once their runs have returned.
func (s *servers) stop() {
	for _, server := range s.others {
		server.Shutdown()
	}
}

// asynqLogger gives asynq's messages to slog. They name tasks by id and hold
// what handlers returned, which is nothing personal.
type asynqLogger struct {
	log *slog.Logger
	// warned is called for what asynq could not do, such as moving a task whose
	// lease entry is lost: its script has then taken the task from one list, and
	// put it into none.
	warned func()
}

// Debug is of interest to asynq's developers alone.
func (asynqLogger) Debug(...any) {}

// Info is what asynq does in the ordinary course.
func (l asynqLogger) Info(args ...any) { l.log.Debug("asynq", "says", fmt.Sprint(args...)) }

// Warn is what asynq mends itself.
func (l asynqLogger) Warn(args ...any) {
	l.warned()
	l.log.Warn("asynq", "says", fmt.Sprint(args...))
}

// Error is what asynq could not do.
func (l asynqLogger) Error(args ...any) {
	l.warned()
	l.log.Error("asynq", "says", fmt.Sprint(args...))
}

// Fatal is never called by a server; it must not end the process.
func (l asynqLogger) Fatal(args ...any) { l.Error(args...) }
