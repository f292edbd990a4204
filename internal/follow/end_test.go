package follow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
)

// finish ends a session's task with a result.
func finish(id string) Next {
	return Finish(&lease.Finished{
		ID: id, Result: []byte("told"), Retention: time.Hour, Proof: lease.Proof{Key: "record:" + id, Field: "removal", Value: "removed", Kept: time.Hour},
	})
}

func TestEnd_FinishesTheTaskWithItsResult(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		b.Add("a", "x", Now(&fake{run: func() Next { return finish("a") }}))
		rest(time.Second)
		info, err := b.tasks.GetTaskInfo(testQueue, "a")
		if err != nil || info.State != asynq.TaskStateCompleted || string(info.Result) != "told" || b.Holds("a") {
			t.Errorf("%+v, error %v, held %v", info, err, b.Holds("a"))
		}
	})
}

func TestEnd_FinishesATaskWhenItsRunHasReturned(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		ctx := context.Background()
		key := "asynq:{" + testQueue + "}:"
		b.rdb.ZRem(ctx, key+"retry", "a")
		b.rdb.HSet(ctx, key+"t:a", "state", "active")
		b.Add("a", "x", Now(&fake{run: func() Next { return finish("a") }}))
		rest(time.Minute)
		if state := b.rdb.HGet(ctx, key+"t:a", "state").Val(); state != "active" {
			t.Fatalf("a running task is %s", state)
		}
		b.rdb.HSet(ctx, key+"t:a", "state", "retry")
		b.rdb.ZAdd(ctx, key+"retry", redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: "a"})
		rest(time.Second)
		if info, err := b.tasks.GetTaskInfo(testQueue, "a"); err != nil || info.State != asynq.TaskStateCompleted {
			t.Errorf("%+v, error %v", info, err)
		}
	})
}

func TestEnd_IsTriedAgainWhenRedisIsBack(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		b.mini.SetError("LOADING Redis is loading the dataset in memory")
		b.Add("a", "x", Now(&fake{run: func() Next { return finish("a") }}))
		rest(time.Minute)
		if !strings.Contains(b.logs.String(), "ending tasks failed; trying again") {
			t.Errorf("logged %s", b.logs)
		}
		b.mini.SetError("")
		rest(time.Minute)
		if state := b.rdb.HGet(context.Background(), "asynq:{"+testQueue+"}:t:a", "state").Val(); state != "completed" {
			t.Errorf("it is %s", state)
		}
	})
}

func TestEnd_AStopEndsWhatIsCollected(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		b.task(t, "b")
		b.Add("a", "x", Now(&fake{run: func() Next { return finish("a") }}))
		b.Add("b", "x", In(time.Hour, &fake{}))
		rest(endPause / 2)
		if info, err := b.tasks.GetTaskInfo(testQueue, "a"); err != nil || info.State != asynq.TaskStateRetry {
			t.Fatalf("%+v, error %v", info, err)
		}
		b.Stop(context.Background())
		if info, err := b.tasks.GetTaskInfo(testQueue, "a"); err != nil || info.State != asynq.TaskStateCompleted {
			t.Errorf("the one that ended is %+v, error %v", info, err)
		}
		if info, err := b.tasks.GetTaskInfo(testQueue, "b"); err != nil || info.State != asynq.TaskStatePending {
			t.Errorf("the one that is handed over is %+v, error %v", info, err)
		}
	})
}
