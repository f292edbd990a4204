package admin

import (
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

// deliver has the events of sessions wait for an attempt after a time.
func deliver(t *testing.T, rdb redis.UniversalClient, after time.Duration, ids ...string) {
	t.Helper()
	for _, id := range ids {
		name := named(t, id)
		job := session.Job{Account: name.Account(), Token: name.Token(), Method: session.SmartID}
		if err := queue.NewList(rdb, session.Shards{}).EnsureDelivery(t.Context(), job, after); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPostNow_RunsTheTaskOfAnEventThatWaits(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		deliver(t, rdb, time.Hour, "shop:waits", "shop:other", "crm:waits")
		if err := New(rdb, session.Shards{}).PostNow(t.Context(), named(t, "shop:waits")); err != nil {
			t.Fatal(err)
		}
		inspector := asynq.NewInspectorFromRedisClient(rdb)
		for id, want := range map[string]asynq.TaskState{
			"shop:waits": asynq.TaskStatePending, "shop:other": asynq.TaskStateScheduled, "crm:waits": asynq.TaskStateScheduled,
		} {
			if info, err := inspector.GetTaskInfo(queue.Deliver, id); err != nil || info.State != want {
				t.Errorf("%s: %+v, %v, want %v", id, info, err, want)
			}
		}
	})
}

func TestPostNow_OfAnEventThatDoesNotWaitIsAnError(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		sessions := New(rdb, session.Shards{})
		if err := sessions.PostNow(t.Context(), named(t, "shop:before-any")); !errors.Is(err, ErrNoAttempt) {
			t.Errorf("without a queue: %v", err)
		}
		enqueue(t, rdb, "shop:followed")
		deliver(t, rdb, 0, "shop:pending")
		deliver(t, rdb, time.Hour, "shop:archived")
		inspector := asynq.NewInspectorFromRedisClient(rdb)
		if err := inspector.ArchiveTask(queue.Deliver, "shop:archived"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"shop:unknown", "shop:followed", "shop:pending", "shop:archived"} {
			if err := sessions.PostNow(t.Context(), named(t, id)); !errors.Is(err, ErrNoAttempt) {
				t.Errorf("%s: %v", id, err)
			}
		}
		if info, err := inspector.GetTaskInfo(queue.Deliver, "shop:archived"); err != nil || info.State != asynq.TaskStateArchived {
			t.Errorf("%+v, %v", info, err)
		}
	})
}
