package taskserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/defect"
	"github.com/identwatch/identwatch/internal/lease"
)

// Handler runs a task. What it returns is nil, one of this package's errors, or an
// error that archives the task.
type Handler func(context.Context, *asynq.Task) error

// Options say how a Server works. All are required.
type Options struct {
	Redis       redis.UniversalClient
	Queue       *lease.Queue
	Concurrency int // runs at once
	Handler     Handler
	// Work ends with the process's work. Runs use it, and not asynq's context:
	// asynq's timeout was stored by whoever enqueued the task, with other settings
	// perhaps, and what a receiver or MarkSign answers is noted all the same.
	Work            context.Context //nolint:containedctx // it outlives every call
	ShutdownTimeout time.Duration
	Patience        *Patience // one for all servers of a shard
	Watch           *Watch    // of the queue, among others; it is started before the server
	// Sharded says that there are several shards: nothing waits for the keys of none.
	Sharded bool
	// Trouble is called when asynq reports that it could not do something, such as
	// moving a task whose lease entry is lost: then the task may be in no list.
	Trouble func()
	Log     *slog.Logger
}

// checkPause is before asynq asks for a task again when it got none: it asks Watch, and
// Redis only if a task is pending.
const checkPause = 2 * time.Millisecond

// Server runs the tasks of one queue, so that no queue holds up another.
type Server struct {
	opts   Options
	server *asynq.Server
	aside  *aside         // nil if there is one shard
	runs   sync.WaitGroup // also those that asynq no longer waits for
}

// New makes a Server.
func New(opts Options) *Server {
	s := &Server{opts: opts}
	rdb := opts.Redis
	if opts.Sharded {
		s.aside = newAside(rdb)
		rdb = s.aside
	}
	s.server = asynq.NewServerFromRedisClient(patient{rdb, opts.Patience, opts.Queue, opts.Watch.doors[opts.Queue]}, asynq.Config{
		Concurrency:              opts.Concurrency,
		Queues:                   map[string]int{opts.Queue.Name(): 1},
		BaseContext:              func() context.Context { return opts.Work },
		TaskCheckInterval:        checkPause,
		DelayedTaskCheckInterval: 500 * time.Millisecond,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		ShutdownTimeout:          opts.ShutdownTimeout,
		Logger:                   asynqLogger{opts.Log.With("queue", opts.Queue.Name()), opts.Trouble},
		LogLevel:                 asynq.InfoLevel,
	})
	return s
}

// Start takes tasks until StopTaking or Stop.
func (s *Server) Start() error {
	if s.aside != nil {
		s.aside.start()
	}
	if err := s.server.Start(asynq.HandlerFunc(s.handle)); err != nil {
		return fmt.Errorf("starting the task server: %w", err)
	}
	return nil
}

// StopTaking takes no more tasks. Runs under way go on.
func (s *Server) StopTaking() {
	s.door().close()
	s.server.Stop()
}

func (s *Server) door() *door { return s.opts.Watch.doors[s.opts.Queue] }

// Stop takes no more tasks, and returns when asynq no longer waits for the runs
// under way.
func (s *Server) Stop() {
	s.door().close()
	s.server.Shutdown()
	if s.aside != nil {
		s.aside.stop()
	}
}

// Wait returns when every run has ended, also those that asynq no longer waits for.
func (s *Server) Wait() { s.runs.Wait() }

func (s *Server) handle(ctx context.Context, t *asynq.Task) error {
	s.runs.Add(1)
	defer s.runs.Done()
	err := s.guarded(t)
	if ctx.Err() != nil {
		s.outlived(t.ResultWriter().TaskID(), err)
	}
	return err
}

// guarded keeps the text of a panic out of Redis, where asynq would store it.
func (s *Server) guarded(t *asynq.Task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			defect.Log(s.opts.Log, t.ResultWriter().TaskID(), p)
			err = Retry(30*time.Second, "a defect in identwatch: see the worker's log")
		}
	}()
	return s.opts.Handler(s.opts.Work, t)
}

// outlivedPause is between two tries to move a task that asynq says is still running.
const outlivedPause = 200 * time.Millisecond

// outlived asks for the pause of a run that asynq stopped waiting for: because of
// a timeout that an older release stored, because asynq's lease ran out, or
// because an operator cancelled the run. asynq retries the task at once, and does
// not see what the run returned. Without a pause to ask for, the next run reads
// from the record what is left to do.
func (s *Server) outlived(id string, err error) {
	var p *Pause
	if !errors.As(err, &p) {
		return
	}
	const tries = 5
	until := time.Now().Add(p.After)
	for range tries {
		statuses, err := s.opts.Queue.Renew(s.opts.Work, []string{id}, until)
		if err == nil && statuses[0] != lease.Elsewhere {
			return
		}
		select {
		case <-s.opts.Work.Done():
			return
		case <-time.After(outlivedPause):
		}
	}
}
