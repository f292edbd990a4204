package lease

import (
	"context"
	"time"
)

// Finished is a task whose work is done. All fields are required.
type Finished struct {
	ID        string
	Result    []byte        // what asynqmon shows
	Retention time.Duration // for how long asynq keeps the task, in whole seconds
	Proof     Proof
}

// Proof is a hash in the hash slot of the queue, of which a field must still say that the
// work is done: a Redis that lost its last writes may know nothing of it. All fields are
// required.
type Proof struct {
	Key, Field, Value string
	Kept              time.Duration // for how long the hash is kept once the task is finished
}

// finishBatch is how many tasks one script finishes, so that Redis answers others in
// between. Each has a result of a few hundred bytes.
const finishBatch = 100

// Finish ends waiting tasks with their results, as asynq does after a run without an
// error, and so saves the run. One whose proof is gone is made to run instead. It returns those that are running at this moment, to be
// finished again; tasks that are pending, scheduled, finished or gone are left alone.
func (q *Queue) Finish(ctx context.Context, tasks []Finished) (active []string, err error) {
	today := time.Now().UTC()
	keys := []string{q.key("retry"), q.key("completed"), q.key("processed:" + today.Format(time.DateOnly)), q.key("processed"), q.key("pending")}
	for len(tasks) > 0 {
		n := min(len(tasks), finishBatch)
		args := []any{q.taskPrefix(), today.Add(statsKept).Unix()}
		for _, t := range tasks[:n] {
			args = append(args, t.ID, seconds(t.Retention), t.Result, t.Proof.Key, t.Proof.Field, t.Proof.Value, t.Proof.Kept.Milliseconds())
		}
		found, err := finishScript.Run(ctx, q.redis, keys, args...).StringSlice()
		if err != nil {
			return nil, q.wrap("finishing tasks", err)
		}
		active = append(active, found...)
		tasks = tasks[n:]
	}
	return active, nil
}

// statsKept is for how long asynq keeps the counts of a day.
const statsKept = 90 * 24 * time.Hour
