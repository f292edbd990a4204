package lease

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

func (f fixture) unfinished(prefix string) (ids []string) {
	f.t.Helper()
	for page, err := range f.Unfinished(f.t.Context(), prefix) {
		if err != nil {
			f.t.Fatal(err)
		}
		ids = append(ids, page...)
	}
	slices.Sort(ids)
	return slices.Compact(ids) // Redis may name a key twice
}

func TestUnfinished_FindsWhatWaitsOrRuns(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.enqueue("a:retry")
		f.serve(1, errWaits)
		f.enqueue("a:done")
		f.serve(1, nil)
		f.enqueue("a:archived")
		if err := f.inspector.ArchiveTask(queue, "a:archived"); err != nil {
			t.Fatal(err)
		}
		f.enqueue("a:active")
		f.rdb.LMove(ctx, f.key("pending"), f.key("active"), "RIGHT", "LEFT")
		f.rdb.HSet(ctx, f.taskKey("a:active"), "state", "active")
		if _, err := f.client.EnqueueContext(ctx, asynq.NewTask("test", nil), asynq.Queue(queue), asynq.TaskID("a:scheduled"), asynq.ProcessIn(time.Hour)); err != nil {
			t.Fatal(err)
		}
		f.rdb.HSet(ctx, f.taskKey("a:deleted"), "result", "what a late result leaves")
		want := []string{"a:active"}
		for i := range batch + 20 { // more than a page
			id := fmt.Sprintf("a:pending-%04d", i)
			f.enqueue(id)
			want = append(want, id)
		}
		want = append(want, "a:retry", "a:scheduled")
		f.enqueue("b:pending")
		if got := f.unfinished("a:"); !slices.Equal(got, want) {
			t.Errorf("%d with the prefix, want %d; the first are %q", len(got), len(want), got[:min(4, len(got))])
		}
		if got := f.unfinished(""); !slices.Equal(got, append(want, "b:pending")) {
			t.Errorf("%d of all", len(got))
		}
		for range f.Unfinished(ctx, "") {
			break
		}
	})
}

// roundTrips counts how often Redis is asked.
type roundTrips struct{ n atomic.Int32 }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmds)
	}
}

// Each run of a follow task asks this.
func TestWentFurther_AsksOnce(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.enqueue("later")
		f.serve(1, nil)
		f.enqueue("later, in progress")
		queues := func(name string) Queues { return NewQueues(f.rdb, session.Shards{}, name) }
		first := queues("first").All()[0]
		f.rdb.HSet(t.Context(), first.taskKey("runs"), "state", "active")
		f.rdb.HSet(t.Context(), first.taskKey("ran"), "state", "pending", "result", "{}")
		further := func(ctx context.Context, id string) (bool, error) {
			return WentFurther(ctx, queues("first"), []Queues{queues("empty"), queues(f.Name())}, id)
		}
		if _, err := further(t.Context(), "later"); err != nil { // connects
			t.Fatal(err)
		}
		var trips roundTrips
		f.rdb.AddHook(&trips)
		for id, want := range map[string]bool{"later": true, "later, in progress": true, "ran": true, "runs": false, "never": false} {
			if went, err := further(t.Context(), id); err != nil || went != want {
				t.Errorf("%s: %t, %v", id, went, err)
			}
		}
		if n := trips.n.Load(); n != 5 {
			t.Errorf("%d round trips for five questions", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := further(ctx, "later"); err == nil {
			t.Error("no error without Redis")
		}
	})
}

// The run that ends a task writes its result, and asynq keeps it when the task is run
// once more.
func TestWentFurther_KnowsATaskThatIsRunAgain(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.enqueue("a")
		f.serveWith(1, func(task *asynq.Task) error {
			if further, err := WentFurther(t.Context(), NewQueues(f.rdb, session.Shards{}, f.Name()), nil, "a"); err != nil || further {
				t.Errorf("in its first run: %t, %v", further, err)
			}
			_, err := task.ResultWriter().Write([]byte("{}"))
			return err
		})
		if err := f.inspector.RunTask(queue, "a"); err != nil {
			t.Fatal(err)
		}
		f.serveWith(1, func(*asynq.Task) error {
			if further, err := WentFurther(t.Context(), NewQueues(f.rdb, session.Shards{}, f.Name()), nil, "a"); err != nil || !further {
				t.Errorf("in its second run: %t, %v", further, err)
			}
			return nil
		})
	})
}
