package lease

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

const finishedFor = time.Hour

func finished(id string) Finished {
	return Finished{
		ID: id, Result: []byte(`{"of":"` + id + `"}`), Retention: finishedFor,
		Proof: Proof{Key: "record:" + id, Field: "removal", Value: "removed", Kept: 2 * finishedFor},
	}
}

// waiting makes a task that waits, and the proof that its work is done.
func (f fixture) waiting(ids ...string) {
	f.t.Helper()
	for _, id := range ids {
		f.enqueue(id)
		if err := f.rdb.HSet(f.t.Context(), "record:"+id, "removal", "removed").Err(); err != nil {
			f.t.Fatal(err)
		}
	}
	f.serve(len(ids), errWaits)
}

// TestFinish_LeavesWhatARunLeaves ends one task by a run and one by Finish. Nobody who
// looks through asynq can tell them apart.
func TestFinish_LeavesWhatARunLeaves(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.waiting("run", "fin")
		if _, err := f.Release(ctx, []string{"run"}); err != nil {
			t.Fatal(err)
		}
		f.serve(1, nil)
		before, err := f.inspector.GetQueueInfo(queue)
		if err != nil || before.Processed != 1 {
			t.Fatalf("%d are processed, error %v", before.Processed, err)
		}
		if active, err := f.Finish(ctx, []Finished{finished("fin")}); err != nil || len(active) != 0 {
			t.Fatalf("active %v, error %v", active, err)
		}
		run, err := f.inspector.GetTaskInfo(queue, "run")
		if err != nil {
			t.Fatal(err)
		}
		fin, err := f.inspector.GetTaskInfo(queue, "fin")
		if err != nil {
			t.Fatal(err)
		}
		if string(fin.Result) != `{"of":"fin"}` || time.Since(fin.CompletedAt).Abs() > 10*time.Second {
			t.Errorf("the result is %s, completed at %v", fin.Result, fin.CompletedAt)
		}
		for _, info := range []*asynq.TaskInfo{run, fin} { // what differs by nature
			info.ID, info.Result, info.CompletedAt, info.LastFailedAt = "", nil, time.Time{}, time.Time{}
		}
		if got, want := fmt.Sprintf("%+v", fin), fmt.Sprintf("%+v", run); got != want {
			t.Errorf("asynq sees\n%s, after a run it sees\n%s", got, want)
		}
		after, err := f.inspector.GetQueueInfo(queue)
		if err != nil || after.Processed != 2 || after.ProcessedTotal != before.ProcessedTotal+1 || after.Completed != 2 || after.Retry != 0 || after.Failed != 0 {
			t.Errorf("asynq counts %+v, error %v", after, err)
		}
		history, err := f.inspector.History(queue, 1)
		if err != nil || history[0].Processed != 2 {
			t.Errorf("of the day asynq counts %+v, error %v", history[0], err)
		}
		for _, set := range []string{"run", "fin"} {
			if kept := time.Until(time.Unix(int64(f.rdb.ZScore(ctx, f.key("completed"), set).Val()), 0)); (kept - finishedFor).Abs() > 10*time.Second {
				t.Errorf("%s is kept for %v", set, kept)
			}
		}
		if kept := f.rdb.PTTL(ctx, "record:fin").Val(); (kept - 2*finishedFor).Abs() > 10*time.Second {
			t.Errorf("the proof is kept for %v", kept)
		}
		if f.rdb.PTTL(ctx, "record:run").Val() > 0 {
			t.Error("another's proof expires")
		}
	})
}

// TestFinish_CountsADayForAsLongAsAsynq finishes the first task of a day.
func TestFinish_CountsADayForAsLongAsAsynq(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		f.waiting("a")
		if _, err := f.Finish(t.Context(), []Finished{finished("a")}); err != nil {
			t.Fatal(err)
		}
		for _, key := range f.rdb.Keys(t.Context(), f.key("processed:*")).Val() {
			if kept := f.rdb.TTL(t.Context(), key).Val(); (kept - statsKept).Abs() > time.Minute {
				t.Errorf("%s is kept for %v", key, kept)
			}
		}
	})
}

func TestFinish_LeavesAloneWhatDoesNotWait(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.waiting("archived", "deleted", "done", "lost")
		for _, err := range []error{f.inspector.ArchiveTask(queue, "archived"), f.inspector.DeleteTask(queue, "deleted"), f.rdb.Del(ctx, f.taskKey("lost")).Err()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		ids := []string{"archived", "deleted", "done", "lost", "pending", "never", "active"}
		all := make([]Finished, len(ids))
		for i, id := range ids {
			all[i] = finished(id)
		}
		if _, err := f.Finish(ctx, all[2:3]); err != nil {
			t.Fatal(err)
		}
		f.enqueue("active")
		f.rdb.LMove(ctx, f.key("pending"), f.key("active"), "RIGHT", "LEFT")
		f.rdb.HSet(ctx, f.taskKey("active"), "state", "active")
		f.enqueue("pending")
		all[2].Result = []byte("again")
		active, err := f.Finish(ctx, all)
		if err != nil || !slices.Equal(active, []string{"active"}) {
			t.Errorf("active %v, error %v", active, err)
		}
		for id, want := range map[string]asynq.TaskState{
			"archived": asynq.TaskStateArchived, "done": asynq.TaskStateCompleted, "pending": asynq.TaskStatePending, "active": asynq.TaskStateActive,
		} {
			if got := f.state(id); got != want {
				t.Errorf("%s is %v", id, got)
			}
		}
		if f.rdb.Exists(ctx, f.taskKey("never"), f.taskKey("deleted"), f.taskKey("lost")).Val() != 0 {
			t.Error("a task was made that was not there")
		}
		if info, err := f.inspector.GetTaskInfo(queue, "done"); err != nil || string(info.Result) == "again" {
			t.Errorf("one that was finished is finished again: %s, error %v", info.Result, err)
		}
		if got := f.rdb.Get(ctx, f.key("processed")).Val(); got != "1" {
			t.Errorf("%s are processed", got)
		}
	})
}

func TestFinish_TakesMoreThanABatch(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		all, ids := make([]Finished, 2*finishBatch+1), make([]string, 2*finishBatch+1)
		for i := range all {
			ids[i] = fmt.Sprint("task-", i)
			all[i] = finished(ids[i])
		}
		f.waiting(ids...)
		if active, err := f.Finish(t.Context(), all); err != nil || len(active) != 0 {
			t.Errorf("active %v, error %v", active, err)
		}
		if n := f.rdb.ZCard(t.Context(), f.key("completed")).Val(); n != int64(len(all)) {
			t.Errorf("%d are completed", n)
		}
	})
}

func TestFinish_RunsATaskWhoseProofIsGone(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.waiting("evicted", "undone", "done")
		f.rdb.Del(ctx, "record:evicted")
		f.rdb.HDel(ctx, "record:undone", "removal")
		if active, err := f.Finish(ctx, []Finished{finished("evicted"), finished("undone"), finished("done")}); err != nil || len(active) != 0 {
			t.Fatalf("active %v, error %v", active, err)
		}
		for id, want := range map[string]asynq.TaskState{"evicted": asynq.TaskStatePending, "undone": asynq.TaskStatePending, "done": asynq.TaskStateCompleted} {
			if got := f.state(id); got != want {
				t.Errorf("%s is %v", id, got)
			}
		}
		f.serve(2, nil)
		if n := f.rdb.ZCard(ctx, f.key("completed")).Val(); n != 3 {
			t.Errorf("%d are completed", n)
		}
	})
}
