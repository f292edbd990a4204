package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

func TestOutstanding_IsWhatTheUnfinishedTasksAre(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.enqueue("a:done")
		f.serve(1, nil)
		f.enqueue("a:archived")
		if err := f.inspector.ArchiveTask(queue, "a:archived"); err != nil {
			t.Fatal(err)
		}
		for i := range batch + 20 { // more than a page of a set
			f.enqueue(fmt.Sprintf("b:retry-%04d", i))
		}
		f.serve(batch+20, errWaits)
		f.enqueue("a:active")
		f.rdb.LMove(ctx, f.key("pending"), f.key("active"), "RIGHT", "LEFT")
		f.rdb.HSet(ctx, f.taskKey("a:active"), "state", "active")
		if _, err := f.client.EnqueueContext(ctx, asynq.NewTask("test", nil), asynq.Queue(queue), asynq.TaskID("a:scheduled"), asynq.ProcessIn(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for i := range 2 * batch { // whole pages of a list
			f.enqueue(fmt.Sprintf("a:pending-%04d", i))
		}
		var got []string
		for page, err := range f.Outstanding(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
		}
		slices.Sort(got)
		if want := f.unfinished(""); !slices.Equal(got, want) {
			t.Errorf("%d tasks, want %d", len(got), len(want))
		}
		for range f.Outstanding(ctx) {
			break
		}
	})
}

func TestOutstanding_SaysThatRedisFailed(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		pages := 0
		for _, err := range f.Outstanding(ctx) {
			if pages++; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		}
		if pages != 1 {
			t.Errorf("%d pages", pages)
		}
	})
}

func TestCountKnown_CountsTasksOfEveryState(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.enqueue("done")
		f.serve(1, nil)
		f.enqueue("pending")
		ids := []string{"done", "pending"}
		for i := range 2 * batch {
			ids = append(ids, fmt.Sprint("never-", i))
		}
		if n, err := f.CountKnown(t.Context(), ids); n != 2 || err != nil {
			t.Errorf("%d are known, error %v", n, err)
		}
		if n, err := f.CountKnown(t.Context(), nil); n != 0 || err != nil {
			t.Errorf("%d of none are known, error %v", n, err)
		}
	})
}
