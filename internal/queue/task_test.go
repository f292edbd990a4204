package queue

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

// TestNewTask_CarriesItsOptions enqueues with a plain asynq.Client and looks at what
// asynq then says of the task.
func TestNewTask_CarriesItsOptions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		job := session.Job{Token: "a", Method: session.SmartID, Retention: time.Hour}
		for _, test := range []struct {
			make        func(session.Job) (*asynq.Task, error)
			queue, kind string
		}{{NewFollowTask, Follow, TypeFollow}, {NewDeliverTask, Deliver, TypeDeliver}, {NewRemoveTask, Remove, TypeRemove}} {
			task, err := test.make(job)
			if err != nil {
				t.Fatal(err)
			}
			checkEnqueued(t, rdb, task, asynq.TaskInfo{
				Queue: test.queue, Type: test.kind, ID: "default:a", Timeout: runTimeout, Retention: time.Hour,
			})
		}
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
	if _, err := Decode(got.Payload); err != nil {
		t.Errorf("the payload: %v", err)
	}
}

func TestNewTask_RefusesARetentionOutOfBounds(t *testing.T) {
	t.Parallel()
	for _, retention := range []time.Duration{-time.Hour, time.Nanosecond, session.MinRetention - 1, session.MaxRetention + 1, math.MaxInt64} {
		if _, err := NewFollowTask(retained(valid(), retention)); err == nil || !strings.Contains(err.Error(), "retention") {
			t.Errorf("%v: %v", retention, err)
		}
	}
	for _, retention := range []time.Duration{0, session.MinRetention, session.MaxRetention} {
		if _, err := NewFollowTask(retained(valid(), retention)); err != nil {
			t.Errorf("%v: %v", retention, err)
		}
	}
}
