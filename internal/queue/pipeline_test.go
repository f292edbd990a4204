package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// sent counts scripts that go by themselves, and pipelines of scripts.
type sent struct{ single, pipelines atomic.Int32 }

func (*sent) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *sent) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "eval" {
			s.single.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (s *sent) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "eval" {
			s.pipelines.Add(1)
		}
		return next(ctx, cmds)
	}
}

// Goroutines ask as often as each likes, and each gets its own answers.
func TestPipeline_SendsOnceWhatAllAsk(t *testing.T) {
	t.Parallel()
	rdb, server := redistest.Embedded()
	defer server.Close()
	defer rdb.Close()
	counted := new(sent)
	rdb.AddHook(counted)
	line := NewPipeline(rdb)
	const callers = 20
	line.Begin(callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			defer line.Done(t.Context())
			for n := range i + 1 {
				want := fmt.Sprint(i, n)
				if got, err := line.Eval(t.Context(), "return ARGV[1]", nil, want).Text(); err != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
	all.Wait()
	if single, pipelines := counted.single.Load(), counted.pipelines.Load(); single != 0 || pipelines != callers {
		t.Errorf("%d commands and %d pipelines, want %d", single, pipelines, callers)
	}
}

func TestPipeline_GivesEachItsError(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	line := NewPipeline(rdb)
	line.Begin(2)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			defer line.Done(t.Context())
			if is, err := line.SIsMember(t.Context(), "asynq:queues", Follow).Result(); err == nil || is {
				t.Errorf("got %v, %v", is, err)
			}
			if got, err := line.EvalSha(t.Context(), "0", nil).Result(); err == nil || got != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	all.Wait()
}
