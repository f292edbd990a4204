package taskserver

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/redistest"
)

const testQueue = "identwatch-test"

// served is a queue with a server and its Watch.
type served struct {
	rdb    *redis.Client
	client *asynq.Client
	asked  *asked
	server *Server
	watch  *Watch
	ran    chan time.Time
}

// inBubble runs a test beside a server that has nothing to do yet.
func inBubble(t *testing.T, test func(s *served), hooks ...redis.Hook) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		for _, hook := range hooks {
			rdb.AddHook(hook)
		}
		s := &served{rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), asked: new(asked), ran: make(chan time.Time, 100)}
		rdb.AddHook(s.asked)
		queue, patience := lease.NewQueue(rdb, testQueue), new(Patience)
		s.watch = NewWatch([]*lease.Queue{queue}, patience, func() {})
		s.server = New(Options{
			Redis: rdb, Queue: queue, Concurrency: 10, Work: t.Context(), ShutdownTimeout: time.Second, Patience: patience, Watch: s.watch,
			Sharded: len(hooks) > 0, Trouble: func() {}, Log: slog.New(slog.DiscardHandler),
			Handler: func(context.Context, *asynq.Task) error {
				s.ran <- time.Now()
				return nil
			},
		})
		s.watch.Start()
		if err := s.server.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			s.server.Stop()
			s.watch.Stop()
			rdb.Close()
			mini.Close()
			time.Sleep(5 * time.Second) // until go-redis's own goroutines see that they are closed
		}()
		test(s)
	})
}

func (s *served) enqueue(t *testing.T, id string, opts ...asynq.Option) {
	t.Helper()
	if _, err := s.client.Enqueue(asynq.NewTask("test", nil), append(opts, asynq.Queue(testQueue), asynq.TaskID(id), asynq.MaxRetry(9))...); err != nil {
		t.Fatal(err)
	}
}

// asked counts the scripts that asynq's server sends by what they are for.
type asked struct {
	mu                 sync.Mutex
	dequeues, forwards int
	leaseEnds          time.Time // of the task that was to be taken last
}

func (a *asked) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dequeues, a.forwards = 0, 0
}

func (a *asked) counts() (dequeues, forwards int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dequeues, a.forwards
}

func (a *asked) lease() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaseEnds
}

func (a *asked) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *asked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *asked) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		text := fmt.Sprint(cmd.Args()...)
		a.mu.Lock()
		switch {
		case strings.Contains(text, "}:paused"):
			a.dequeues++
			if seconds, isNumber := cmd.Args()[7].(int64); isNumber {
				a.leaseEnds = time.Unix(seconds, 0)
			}
		case strings.HasPrefix(text, "evalsha") && strings.Contains(text, "}:g:"):
			a.forwards++
		}
		a.mu.Unlock()
		return next(ctx, cmd)
	}
}

// If asynq asked with other keys than lease knows, it would ask all the time.
func TestWatch_AnIdleServerAsksForNoTask(t *testing.T) {
	inBubble(t, func(s *served) {
		time.Sleep(time.Second)
		s.asked.reset()
		time.Sleep(time.Minute)
		if dequeues, forwards := s.asked.counts(); dequeues != 0 || forwards != 0 {
			t.Errorf("%d times for a task, %d times for due ones", dequeues, forwards)
		}
	})
}

func TestWatch_ANewTaskRunsAtOnce(t *testing.T) {
	inBubble(t, func(s *served) {
		for i := range 5 {
			time.Sleep(time.Minute + time.Duration(i)*7*time.Millisecond)
			begun := time.Now()
			s.enqueue(t, fmt.Sprint("task-", i))
			if after := (<-s.ran).Sub(begun); after > watchPause+2*checkPause {
				t.Errorf("it ran after %v", after)
			}
			// asynq writes its lease into the arguments before it waits.
			if left := time.Until(s.asked.lease()); left < 28*time.Second {
				t.Errorf("the task was taken with a lease that ends in %v", left)
			}
		}
	})
}

func TestWatch_ADueTaskRunsWithinASecond(t *testing.T) {
	inBubble(t, func(s *served) {
		begun := time.Now()
		s.enqueue(t, "later", asynq.ProcessIn(10*time.Second))
		if after := (<-s.ran).Sub(begun); after < 9*time.Second || after > 11*time.Second {
			t.Errorf("it ran after %v", after)
		}
	})
}

func TestWatch_AStopWaitsForNoTask(t *testing.T) {
	inBubble(t, func(s *served) {
		time.Sleep(time.Minute)
		begun := time.Now()
		s.server.StopTaking()
		if took := time.Since(begun); took > 10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		s.enqueue(t, "left alone")
		time.Sleep(10 * time.Second)
		if len(s.ran) > 0 {
			t.Error("a server that stops took a task")
		}
	})
}

// hanging is a Redis whose answers to some commands do not come.
type hanging struct {
	mu    sync.Mutex
	hangs func(command string) bool
}

func (h *hanging) set(hangs func(command string) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hangs = hangs
}

func (h *hanging) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *hanging) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *hanging) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.mu.Lock()
		hangs := h.hangs != nil && h.hangs(fmt.Sprint(cmd.Args()...))
		h.mu.Unlock()
		if !hangs {
			return next(ctx, cmd)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		cmd.SetErr(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
}

// The keys of asynq's servers are in no shard: if their node hangs, nobody waits for it.
func TestServer_WaitsForNoKeyOfItsServers(t *testing.T) {
	redisHangs := new(hanging)
	inBubble(t, func(s *served) {
		time.Sleep(time.Second)
		if servers, err := asynq.NewInspectorFromRedisClient(s.rdb).Servers(); err != nil || len(servers) != 1 {
			t.Errorf("known are %+v, %v", servers, err)
		}
		redisHangs.set(func(command string) bool {
			return strings.Contains(command, "asynq:servers") || strings.Contains(command, "asynq:workers")
		})
		for i := range 60 {
			begun := time.Now()
			s.enqueue(t, fmt.Sprint("task-", i))
			if after := (<-s.ran).Sub(begun); after > watchPause+2*checkPause {
				t.Errorf("it ran after %v", after)
			}
			time.Sleep(time.Second)
		}
		begun := time.Now()
		s.server.Stop()
		if took := time.Since(begun); took > 4*asideTimeout {
			t.Errorf("the stop took %v", took)
		}
	}, redisHangs)
}

func TestWatch_SaysThatRedisIsAway(t *testing.T) {
	redisHangs := new(hanging)
	inBubble(t, func(s *served) {
		time.Sleep(time.Second)
		if s.watch.Away() {
			t.Error("away, though it answers")
		}
		redisHangs.set(func(command string) bool { return strings.HasPrefix(command, "eval") })
		time.Sleep(watchPause + lookPatience + time.Millisecond)
		if !s.watch.Away() {
			t.Error("it does not say that a look is not answered")
		}
		redisHangs.set(nil)
		time.Sleep(time.Minute + watchPause)
		if s.watch.Away() {
			t.Error("away, though it answers again")
		}
	}, redisHangs)
}

// The servers must learn of a Redis that takes no notes, or they would act on their
// absence when it is back.
func TestLook_IsRefusedByARedisThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	host, port, _ := strings.Cut(primary.Addr, ":")
	replica := redistest.Start(t, "--replicaof", host+" "+port).Client()
	full := redistest.Start(t, "--maxmemory", "1").Client()
	for name, rdb := range map[string]*redis.Client{"READONLY": replica, "OOM": full} {
		_, err := lease.Look(t.Context(), []*lease.Queue{lease.NewQueue(rdb, testQueue)})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
