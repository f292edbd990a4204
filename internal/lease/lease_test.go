package lease

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

const queue = "identwatch-test"

// fixture is one Redis with a queue and asynq's own view of it.
type fixture struct {
	*Queue
	t         *testing.T
	rdb       redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
}

func each(t *testing.T, test func(t *testing.T, f fixture)) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		test(t, on(t, rdb))
	})
}

func on(t *testing.T, rdb redis.UniversalClient) fixture {
	t.Helper()
	return fixture{
		NewQueue(rdb, queue), t, rdb,
		asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb),
	}
}

func (f fixture) enqueue(id string) {
	f.t.Helper()
	_, err := f.client.EnqueueContext(f.t.Context(), asynq.NewTask("test", []byte("{}")), asynq.Queue(queue),
		asynq.TaskID(id), asynq.MaxRetry(math.MaxInt32), asynq.Timeout(30*time.Second), asynq.Retention(time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
}

// serve runs asynq's server until each pending task ran once with the answer given.
func (f fixture) serve(runs int, answer error) {
	f.t.Helper()
	f.serveWith(runs, func(*asynq.Task) error { return answer })
}

func (f fixture) serveWith(runs int, handle func(*asynq.Task) error) {
	f.t.Helper()
	ran := make(chan struct{}, runs)
	server := asynq.NewServerFromRedisClient(f.rdb, asynq.Config{
		Queues: map[string]int{queue: 1}, Concurrency: 4, LogLevel: asynq.FatalLevel, TaskCheckInterval: time.Millisecond,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 10 * time.Second },
		IsFailure:      func(error) bool { return false },
	})
	if err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		defer func() { ran <- struct{}{} }()
		return handle(t)
	})); err != nil {
		f.t.Fatal(err)
	}
	for range runs {
		<-ran
	}
	server.Shutdown()
}

var errWaits = errors.New("waits")

func (f fixture) state(id string) asynq.TaskState {
	f.t.Helper()
	info, err := f.inspector.GetTaskInfo(queue, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return info.State
}

// TestKeys_AreThoseOfAsynq pins what this package knows: the names and kinds of
// asynq's keys and the fields of a task, as asynq itself writes them.
func TestKeys_AreThoseOfAsynq(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.enqueue("waiting")
		f.serve(1, errWaits)
		f.enqueue("done")
		f.serve(1, nil)
		f.enqueue("archived")
		if err := f.inspector.ArchiveTask(queue, "archived"); err != nil {
			t.Fatal(err)
		}
		_, err := f.client.EnqueueContext(ctx, asynq.NewTask("test", nil), asynq.Queue(queue), asynq.TaskID("later"), asynq.ProcessIn(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		f.enqueue("pending")

		if got := f.rdb.LRange(ctx, f.key("pending"), 0, -1).Val(); !slices.Equal(got, []string{"pending"}) {
			t.Errorf("pending: %v", got)
		}
		for set, id := range map[string]string{"retry": "waiting", "completed": "done", "archived": "archived", "scheduled": "later"} {
			if got := f.rdb.ZRange(ctx, f.key(set), 0, -1).Val(); !slices.Equal(got, []string{id}) {
				t.Errorf("%s: %v, want %s", set, got, id)
			}
		}
		for id, state := range map[string]string{"waiting": "retry", "done": "completed", "archived": "archived", "later": "scheduled", "pending": "pending"} {
			fields := f.rdb.HGetAll(ctx, f.taskKey(id)).Val()
			if fields["state"] != state || fields["msg"] == "" {
				t.Errorf("task %s: state %q, message of %d bytes", id, fields["state"], len(fields["msg"]))
			}
		}
		due := f.rdb.ZScore(ctx, f.key("retry"), "waiting").Val()
		if due != math.Trunc(due) || math.Abs(due-float64(time.Now().Unix()+10)) > 5 {
			t.Errorf("a waiting task is due at %v", due)
		}
		if got := f.rdb.SMembers(ctx, "asynq:queues").Val(); !slices.Equal(got, []string{queue}) {
			t.Errorf("asynq:queues: %v", got)
		}
	})
}

// TestActiveTask_IsInAsynqsListAndLeases pins where a running task is.
func TestActiveTask_IsInAsynqsListAndLeases(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.enqueue("a")
		running, finish := make(chan struct{}), make(chan struct{})
		server := asynq.NewServerFromRedisClient(f.rdb, asynq.Config{Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel})
		if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			close(running)
			<-finish
			return nil
		})); err != nil {
			t.Fatal(err)
		}
		<-running
		if got := f.rdb.LRange(ctx, f.key("active"), 0, -1).Val(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("active: %v", got)
		}
		ends := f.rdb.ZScore(ctx, f.key("lease"), "a").Val()
		if left := ends - float64(time.Now().Unix()); left < 25 || left > 31 {
			t.Errorf("asynq's lease ends in %v s", left)
		}
		if f.rdb.HGet(ctx, f.taskKey("a"), "state").Val() != "active" {
			t.Error("the task is not active")
		}
		if n, err := f.Sweep(ctx); n != 0 || err != nil {
			t.Errorf("the sweep put %d live tasks back, error %v", n, err)
		}
		if active, err := f.Release(ctx, []string{"a"}); !slices.Equal(active, []string{"a"}) || err != nil {
			t.Errorf("released a running task: %v, %v", active, err)
		}
		close(finish)
		server.Shutdown()
	})
}

func TestRegister_MakesTheQueueKnown(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		if err := f.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := f.inspector.Queues(); err != nil || !slices.Equal(got, []string{queue}) {
			t.Errorf("asynq knows %v, error %v", got, err)
		}
	})
}

func TestRenew_MovesDueTimesOnAndNeverBack(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		f.enqueue("a")
		f.serve(1, errWaits)
		due := func() time.Time {
			info, err := f.inspector.GetTaskInfo(queue, "a")
			if err != nil {
				t.Fatal(err)
			}
			return info.NextProcessAt
		}
		later := time.Now().Add(time.Minute)
		statuses, err := f.Renew(ctx, []string{"a"}, later)
		if err != nil || statuses[0] != Renewed || due().Unix() != later.Unix() {
			t.Fatalf("statuses %v, error %v, due %v", statuses, err, due())
		}
		statuses, err = f.Renew(ctx, []string{"a"}, later.Add(-30*time.Second))
		if err != nil || statuses[0] != Renewed || due().Unix() != later.Unix() {
			t.Errorf("statuses %v, error %v, due %v", statuses, err, due())
		}
	})
}

func TestRenew_TellsRunningTasksFromThoseThatAreGone(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		for _, id := range []string{"waiting", "done", "deleted", "archived"} {
			f.enqueue(id)
		}
		f.serve(4, errWaits)
		for _, err := range []error{f.inspector.DeleteTask(queue, "deleted"), f.inspector.ArchiveTask(queue, "archived"), f.inspector.RunTask(queue, "done")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		f.serve(1, nil)
		f.enqueue("pending")
		ids := []string{"pending", "waiting", "done", "deleted", "archived", "never"}
		got, err := f.Renew(ctx, ids, time.Now().Add(time.Minute))
		want := []Status{Elsewhere, Renewed, Gone, Gone, Gone, Gone}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("statuses %v, error %v, want %v", got, err, want)
		}
		if n := f.rdb.ZCard(ctx, f.key("retry")).Val(); n != 1 {
			t.Errorf("the retry set has %d tasks after renewing", n)
		}
	})
}

func TestRelease_MakesWaitingTasksRunBeforeOthers(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		var ids []string
		for i := range batch + 10 {
			ids = append(ids, fmt.Sprint("waiting-", i))
			f.enqueue(ids[i])
		}
		f.serve(len(ids), errWaits)
		f.enqueue("new")
		active, err := f.Release(ctx, append(ids, "never", "new"))
		if err != nil || len(active) != 0 {
			t.Fatalf("active %v, error %v", active, err)
		}
		pending := f.rdb.LRange(ctx, f.key("pending"), 0, -1).Val()
		if len(pending) != len(ids)+1 || pending[0] != "new" || f.state("waiting-0") != asynq.TaskStatePending {
			t.Errorf("%d pending, the last to run is %s, the first is %s", len(pending), pending[0], f.state("waiting-0"))
		}
		tasks, err := f.inspector.ListPendingTasks(queue)
		if err != nil || len(tasks) == 0 {
			t.Errorf("asynq lists %d pending tasks, error %v", len(tasks), err)
		}
		info, err := f.inspector.GetQueueInfo(queue)
		if err != nil || info.Latency < 0 || info.Latency > time.Minute {
			t.Errorf("asynq takes the latency for %v, error %v", info.Latency, err)
		}
		f.serve(len(ids)+1, nil)
	})
}

// TestSweep_PutsBackWhatADeadWorkerHad takes a task active as a worker does that
// then dies, in each way that its lease can be left.
func TestSweep_PutsBackWhatADeadWorkerHad(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		take := func(id string) {
			f.enqueue(id)
			f.rdb.LMove(ctx, f.key("pending"), f.key("active"), "RIGHT", "LEFT")
			f.rdb.HSet(ctx, f.taskKey(id), "state", "active")
			f.rdb.HDel(ctx, f.taskKey(id), "pending_since")
		}
		leaseEnds := func(id string, in time.Duration) {
			f.rdb.ZAdd(ctx, f.key("lease"), redis.Z{Score: float64(time.Now().Add(in).Unix()), Member: id})
		}
		take("alive")
		leaseEnds("alive", 26*time.Second)
		take("stale")
		leaseEnds("stale", 15*time.Second)
		take("without-a-lease") // hibiken/asynq#1144
		take("hash-is-gone")
		f.rdb.Del(ctx, f.taskKey("hash-is-gone"))
		n, err := f.Sweep(ctx)
		if n != 2 || err != nil {
			t.Fatalf("put %d back, error %v", n, err)
		}
		if got := f.rdb.LRange(ctx, f.key("active"), 0, -1).Val(); !slices.Equal(got, []string{"alive"}) {
			t.Errorf("active: %v", got)
		}
		got := f.rdb.LRange(ctx, f.key("pending"), 0, -1).Val()
		sort.Strings(got)
		if !slices.Equal(got, []string{"stale", "without-a-lease"}) {
			t.Errorf("pending: %v", got)
		}
		if f.state("stale") != asynq.TaskStatePending {
			t.Errorf("the task is %v", f.state("stale"))
		}
		f.serve(2, nil)
	})
}

func TestMendOrphans_MakesTasksRunThatAreInNoList(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		ctx := t.Context()
		for _, id := range []string{"lost", "waiting", "pending", "done"} {
			f.enqueue(id)
		}
		f.serve(4, errWaits)
		if _, err := f.Release(ctx, []string{"pending"}); err != nil {
			t.Fatal(err)
		}
		f.rdb.ZRem(ctx, f.key("retry"), "lost")
		f.rdb.HSet(ctx, f.taskKey("leftover"), "result", "late")
		n, err := f.MendOrphans(ctx)
		if n != 1 || err != nil {
			t.Fatalf("mended %d, error %v", n, err)
		}
		if f.state("lost") != asynq.TaskStatePending || f.state("waiting") != asynq.TaskStateRetry {
			t.Errorf("lost is %v, waiting is %v", f.state("lost"), f.state("waiting"))
		}
		if f.rdb.Exists(ctx, f.taskKey("leftover")).Val() != 0 {
			t.Error("what a late result left is still there")
		}
		if n, err := f.MendOrphans(ctx); n != 0 || err != nil {
			t.Errorf("mended %d again, error %v", n, err)
		}
	})
}

// TestLease_RunsOutWithinItsTime shows the promise: a holder that dies right
// after it renewed leaves its task to another within the lease and two seconds.
func TestLease_RunsOutWithinItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb, m := redistest.Embedded()
		defer m.Close()
		defer rdb.Close()
		f := fixture{NewQueue(rdb, queue), t, rdb, asynq.NewClientFromRedisClient(rdb), asynq.NewInspectorFromRedisClient(rdb)}
		const lease = 10 * time.Second
		ran := make(chan time.Time, 2)
		server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
			Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel,
			TaskCheckInterval: 100 * time.Millisecond, DelayedTaskCheckInterval: 500 * time.Millisecond,
			RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return lease }, IsFailure: func(error) bool { return false },
		})
		if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
			ran <- time.Now()
			return errWaits
		})); err != nil {
			t.Fatal(err)
		}
		f.enqueue("a")
		<-ran
		for range 20 {
			time.Sleep(lease / 3)
			if _, err := f.Renew(context.Background(), []string{"a"}, time.Now().Add(lease)); err != nil {
				t.Fatal(err)
			}
		}
		died := time.Now()
		if len(ran) != 0 {
			t.Fatal("the task ran while its lease was renewed")
		}
		if took := (<-ran).Sub(died); took > lease+2*time.Second || took < lease-2*time.Second {
			t.Errorf("taken over after %v", took)
		}
		server.Shutdown()
	})
}

func BenchmarkRenew(b *testing.B) {
	rdb := redistest.Start(b).Client()
	q := NewQueue(rdb, queue)
	ids := make([]string, 50_000)
	members := make([]redis.Z, len(ids))
	for i := range ids {
		ids[i] = fmt.Sprintf("default:1c5cd62c-bbf7-779e-3fb4-%012d", i)
		members[i] = redis.Z{Member: ids[i]}
	}
	for i := 0; i < len(members); i += 1000 {
		rdb.ZAdd(b.Context(), q.key("retry"), members[i:i+1000]...)
	}
	due := time.Now()
	for b.Loop() {
		due = due.Add(time.Second)
		if _, err := q.Renew(b.Context(), ids, due); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(ids))/b.Elapsed().Seconds(), "tasks/s")
}
