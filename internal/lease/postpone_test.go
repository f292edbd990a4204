package lease

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

func (f fixture) schedule(id string, after time.Duration) {
	f.t.Helper()
	_, err := f.client.EnqueueContext(f.t.Context(), asynq.NewTask("test", []byte("{}")), asynq.Queue(queue), asynq.TaskID(id), asynq.ProcessIn(after))
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestReleaseAll_MakesScheduledTasksRunToo(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.enqueue("waiting")
		f.serve(1, errWaits)
		f.schedule("scheduled", time.Hour)
		if _, err := f.Release(t.Context(), []string{"scheduled"}); err != nil || f.state("scheduled") != asynq.TaskStateScheduled {
			t.Errorf("Release: %v, %v", f.state("scheduled"), err)
		}
		if active, err := f.ReleaseAll(t.Context(), []string{"waiting", "scheduled", "never"}); err != nil || len(active) != 0 {
			t.Fatalf("active %v, error %v", active, err)
		}
		pending := f.rdb.LRange(t.Context(), f.key("pending"), 0, -1).Val()
		if !slices.Equal(pending, []string{"waiting", "scheduled"}) || f.state("scheduled") != asynq.TaskStatePending {
			t.Errorf("pending: %v", pending)
		}
		f.serve(2, nil)
	})
}

func TestPostpone_SetsTheDueTimeOfWaitingTasksAlone(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.enqueue("waiting")
		f.serve(1, errWaits)
		f.schedule("scheduled", time.Hour)
		f.enqueue("pending")
		f.enqueue("done")
		f.rdb.LRem(t.Context(), f.key("pending"), 0, "done")
		f.rdb.HSet(t.Context(), f.taskKey("done"), "state", "completed")
		for _, after := range []time.Duration{2 * time.Hour, time.Minute} { // later, and sooner
			until := time.Now().Add(after)
			for id, want := range map[string]Status{"waiting": Renewed, "scheduled": Renewed, "pending": Elsewhere, "done": Gone, "never": Gone} {
				got, err := f.Postpone(t.Context(), id, until)
				if err != nil || got != want {
					t.Errorf("%s: %v, %v; want %v", id, got, err, want)
				}
			}
			for id, set := range map[string]string{"waiting": "retry", "scheduled": "scheduled"} {
				if due := f.rdb.ZScore(t.Context(), f.key(set), id).Val(); due != float64(until.Unix()) {
					t.Errorf("%s is due at %v, want %v", id, due, until.Unix())
				}
			}
		}
		if n := f.rdb.ZCard(t.Context(), f.key("retry")).Val() + f.rdb.ZCard(t.Context(), f.key("scheduled")).Val(); n != 2 {
			t.Errorf("%d tasks wait", n)
		}
	})
}

// A queue that holds more than one batch, as when a host is back that thousands waited for.
func TestReleaseAll_InBatches(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		var ids []string
		for i := range batch + 10 {
			ids = append(ids, fmt.Sprint("scheduled-", i))
			f.schedule(ids[i], time.Hour)
		}
		if _, err := f.ReleaseAll(t.Context(), ids); err != nil {
			t.Fatal(err)
		}
		if n := f.rdb.LLen(t.Context(), f.key("pending")).Val(); n != batch+10 {
			t.Errorf("%d pending", n)
		}
	})
}
