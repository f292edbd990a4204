package sessiontest

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// RunTask enqueues a task, unless it is there, has a task server run it once, and
// returns the task as it is then and what the handler returned.
func (b *Bed) RunTask(queue string, task *asynq.Task, handle taskserver.Handler) (*asynq.TaskInfo, error) {
	b.T.Helper()
	_, _ = asynq.NewClientFromRedisClient(b.Redis).Enqueue(task) // refused if it is there
	returned := make(chan error, 1)
	tasks, patience := lease.NewQueue(b.Redis, queue), new(taskserver.Patience)
	watch := taskserver.NewWatch([]*lease.Queue{tasks}, patience, func() {})
	watch.Start()
	defer watch.Stop()
	server := taskserver.New(taskserver.Options{
		Redis: b.Redis, Queue: tasks, Concurrency: 1, Work: b.Ctx, ShutdownTimeout: time.Minute,
		Patience: patience, Watch: watch, Trouble: func() {}, Log: b.Log,
		Handler: func(ctx context.Context, t *asynq.Task) error {
			err := handle(ctx, t)
			select {
			case returned <- err:
			default: // it ran again before the server stopped
			}
			return err
		},
	})
	if err := server.Start(); err != nil {
		b.T.Fatal(err)
	}
	var err error
	select {
	case err = <-returned:
	case <-time.After(time.Minute):
		b.T.Fatal("the task did not run")
	}
	server.Stop()
	server.Wait()
	info, findErr := b.Tasks.Find(queue, Job().ID())
	if findErr != nil || info == nil {
		b.T.Fatalf("the task after its run: %v, error %v", info, findErr)
	}
	return info, err
}
