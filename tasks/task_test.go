package tasks

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// TestNewFollowTask_CarriesItsOptions enqueues with a plain asynq.Client and
// looks at what asynq then says of the task.
func TestNewFollowTask_CarriesItsOptions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := valid()
		task, err := NewFollowTask(s, 2*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		checkEnqueued(t, rdb, task, asynq.TaskInfo{
			Queue: queue.Follow, Type: queue.TypeFollow, ID: "shop:" + s.Token, Timeout: 24 * time.Hour, Retention: 2 * time.Hour,
		})
	})
}

func TestNewFollowTask_DefaultsToTheDefaultRetentionAndAccount(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		task, err := NewFollowTask(Session{Token: "a", Method: SmartID}, 0)
		if err != nil {
			t.Fatal(err)
		}
		checkEnqueued(t, rdb, task, asynq.TaskInfo{
			Queue: queue.Follow, Type: queue.TypeFollow, ID: "default:a", Timeout: 24 * time.Hour, Retention: 24 * time.Hour,
		})
	})
}

// checkEnqueued enqueues a task without further options.
func checkEnqueued(t *testing.T, rdb *redis.Client, task *asynq.Task, want asynq.TaskInfo) {
	t.Helper()
	if _, err := asynq.NewClientFromRedisClient(rdb).EnqueueContext(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	got, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(want.Queue, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Queue != want.Queue || got.Type != want.Type || got.ID != want.ID || got.Timeout != want.Timeout || got.Retention != want.Retention {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.MaxRetry != math.MaxInt32 {
		t.Errorf("max retry is %d: asynq would archive a session that merely waits", got.MaxRetry)
	}
	if !got.Deadline.IsZero() || got.Group != "" || got.State != asynq.TaskStatePending {
		t.Errorf("a deadline, group or delay: %+v", got)
	}
	if _, err := queue.Decode(got.Payload); err != nil {
		t.Errorf("the payload: %v", err)
	}
}

func TestNewTask_RefusesARetentionOutOfBounds(t *testing.T) {
	t.Parallel()
	for _, retention := range []time.Duration{-time.Hour, time.Nanosecond, MinRetention - 1, MaxRetention + 1, math.MaxInt64} {
		if _, err := NewFollowTask(valid(), retention); err == nil || !strings.Contains(err.Error(), "retention") {
			t.Errorf("%v: %v", retention, err)
		}
	}
	for _, retention := range []time.Duration{MinRetention, MaxRetention} {
		if _, err := NewFollowTask(valid(), retention); err != nil {
			t.Errorf("%v: %v", retention, err)
		}
	}
}

func TestNewTask_RefusesAnInvalidSession(t *testing.T) {
	t.Parallel()
	task, err := NewFollowTask(Session{Token: ".."}, 0)
	if got := fields(t, err); len(got) != 2 || task != nil {
		t.Errorf("got the fields %q and a task %v", got, task)
	}
}

// What an application enqueues itself is where its Client, and the workers, look for it.
func TestFollowQueue_IsWhereTheClientFindsTheTask(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, err := NewClient(ClientConfig{Redis: rdb, Shards: 8})
		if err != nil {
			t.Fatal(err)
		}
		own, seen := asynq.NewClientFromRedisClient(rdb), make(map[string]bool)
		for i := range 40 {
			s := valid()
			s.Token = fmt.Sprint("token", i)
			task, err := NewFollowTask(s, 0)
			if err != nil {
				t.Fatal(err)
			}
			name, err := FollowQueue(8, s)
			if err != nil {
				t.Fatal(err)
			}
			seen[name] = true
			if _, err := own.EnqueueContext(t.Context(), task, asynq.Queue(name)); err != nil {
				t.Fatal(err)
			}
			if status, err := client.Status(t.Context(), s.Account, s.Token); err != nil || status.State != Waiting {
				t.Errorf("%s in %s: %v, %v", s.Token, name, status.State, err)
			}
		}
		if len(seen) != 8 {
			t.Errorf("they are in %v", seen)
		}
	})
}

func TestFollowQueue_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	if name, err := FollowQueue(1, valid()); err != nil || name != queue.Follow {
		t.Errorf("one shard: %q, %v", name, err)
	}
	for _, n := range []int{-1, 0, 257} {
		if name, err := FollowQueue(n, valid()); name != "" || err == nil || !strings.Contains(err.Error(), "there are 1 to 256 shards") {
			t.Errorf("%d shards: %q, %v", n, name, err)
		}
	}
	invalid := new(ValidationError)
	if name, err := FollowQueue(8, Session{}); name != "" || !errors.As(err, &invalid) {
		t.Errorf("no session: %q, %v", name, err)
	}
}
