package follow

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/redistest"
)

// bed is a follower on an embedded Redis, in a bubble of virtual time.
type bed struct {
	*Follower
	mini   *miniredis.Miniredis
	rdb    *redis.Client
	client *asynq.Client
	tasks  *asynq.Inspector
	logs   *bytes.Buffer
	taken  map[string]bool // what others hold
	forgot []string
}

func (b *bed) HeldByOthers(context.Context, []string) (map[string]bool, error) { return b.taken, nil }

func (b *bed) Forget(_ context.Context, id string) error {
	b.forgot = append(b.forgot, id)
	return nil
}

const testQueue = "q"

func inBed(t *testing.T, limit, accounts int, test func(b *bed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(*testing.T) {
		rdb, mini := redistest.Embedded()
		b := &bed{
			mini: mini, rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), tasks: asynq.NewInspectorFromRedisClient(rdb),
			logs: new(bytes.Buffer), taken: map[string]bool{"taken": true},
		}
		b.Follower = New(Options{
			Tasks: lease.NewQueue(rdb, testQueue), Records: b, Lease: 9 * time.Second, Limit: limit, Accounts: accounts,
			Polls: 2, Posts: 1, Hands: 1, Removals: 2, Log: slog.New(slog.NewTextHandler(b.logs, nil)),
		})
		b.Start(context.Background())
		test(b)
		b.Stop(context.Background())
		rdb.Close()
		mini.Close()
		time.Sleep(5 * time.Second) // until go-redis's own goroutines see that they are closed
	})
}

// task puts a session's task where it waits for its lease to end.
func (b *bed) task(t *testing.T, id string) {
	t.Helper()
	_, err := b.client.Enqueue(asynq.NewTask("t", nil), asynq.TaskID(id), asynq.Queue(testQueue), asynq.ProcessIn(time.Hour))
	ctx := context.Background()
	_, moved := b.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error { // as asynq does when a run returned a pause
		tx.ZRem(ctx, "asynq:{"+testQueue+"}:scheduled", id)
		tx.ZAdd(ctx, "asynq:{"+testQueue+"}:retry", redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: id})
		tx.HSet(ctx, "asynq:{"+testQueue+"}:t:"+id, "state", "retry")
		tx.HSet(ctx, "record:"+id, "removal", "removed")
		return nil
	})
	if err != nil || moved != nil {
		t.Fatal(err, moved)
	}
}

// rest lets time pass, until nothing happens any more.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// fake is a step whose parts the test gives.
type fake struct {
	kind   Kind
	run    func() Next
	defect func() Next
	admit  func() (Next, bool)
}

func (f *fake) Kind() Kind               { return f.kind }
func (f *fake) Run(context.Context) Next { return f.run() }
func (f *fake) AfterDefect() Next        { return f.defect() }

// picky is a fake that asks for more than a goroutine.
type picky struct{ fake }

func (p *picky) Admit() (Next, bool) { return p.admit() }

func TestFollower_RunsAStepWhenItIsDueAndThenTheNext(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		begun := time.Now()
		var polled, posted time.Duration
		post := &fake{kind: Post, run: func() Next { posted = time.Since(begun); return End() }}
		b.Add("a", "x", In(2*time.Second, &fake{run: func() Next { polled = time.Since(begun); return In(time.Second, post) }}))
		rest(5 * time.Second)
		if polled != 2*time.Second || posted != 3*time.Second {
			t.Errorf("polled after %v, posted after %v", polled, posted)
		}
		if b.Holds("a") || len(b.Counts()) != 0 {
			t.Error("a session whose work is done is still held")
		}
	})
}

func TestFollower_LeavesAStepThatPanicsThreeTimes(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		runs, left := 0, false
		step := &fake{kind: Remove}
		step.run = func() Next { runs++; panic("personal-MARKED") }
		step.defect = func() Next { left = true; return End() }
		b.Add("a", "x", Now(step))
		rest(time.Minute)
		if runs != 3 || !left {
			t.Errorf("%d runs, left to others: %v", runs, left)
		}
		if strings.Contains(b.logs.String(), "MARKED") || !strings.Contains(b.logs.String(), "defect") {
			t.Errorf("the log: %s", b.logs)
		}
	})
}

// A step that panics now and then, and else goes well, is not given up.
func TestFollower_CountsPanicsInARowAlone(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		runs, left := 0, false
		step := &fake{kind: Post, defect: func() Next { left = true; return End() }}
		step.run = func() Next {
			if runs++; runs%3 != 0 {
				panic("a defect")
			}
			return In(time.Second, step)
		}
		b.Add("a", "x", Now(step))
		rest(20 * time.Second)
		if left || runs < 9 {
			t.Errorf("%d runs, given up: %v", runs, left)
		}
	})
}

func TestFollower_AsksAStepWhetherItMayRun(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		asked, ran := 0, 0
		step := &picky{fake{kind: Post}}
		step.admit = func() (Next, bool) {
			asked++
			return In(time.Second, step), asked > 3
		}
		step.run = func() Next { ran++; return End() }
		b.Add("a", "x", Now(step))
		rest(10 * time.Second)
		if asked != 4 || ran != 1 {
			t.Errorf("asked %d times, ran %d times", asked, ran)
		}
	})
}

// One account whose calls hang has half of the goroutines at most.
func TestFollower_AnAccountThatHangsHoldsUpNoOther(t *testing.T) {
	inBed(t, 10, 2, func(b *bed) {
		hang := make(chan struct{})
		for i := range 4 {
			b.Add(fmt.Sprint("slow", i), "slow", Now(&fake{run: func() Next { <-hang; return End() }}))
		}
		rest(time.Second)
		var ran atomic.Bool
		b.Add("a", "well", Now(&fake{run: func() Next { ran.Store(true); return End() }}))
		rest(time.Second)
		if !ran.Load() {
			t.Error("the other account waits")
		}
		close(hang)
		rest(time.Second)
	})
}

// A full process gives one session of the account back that has the most, if
// another account has less than its share.
func TestFollower_MakesRoomForAnAccountThatHasLess(t *testing.T) {
	inBed(t, 4, 2, func(b *bed) {
		for i := range 4 {
			id := fmt.Sprint("big", i)
			b.task(t, id)
			b.Add(id, "big", In(time.Hour, &fake{}))
		}
		if b.HasRoom(context.Background(), "big") {
			t.Error("a full process has room for the account that fills it")
		}
		if !b.HasRoom(context.Background(), "small") || b.Counts()["big"] != 3 {
			t.Errorf("no room for another account: %v", b.Counts())
		}
		info, err := b.tasks.GetQueueInfo(testQueue)
		if err != nil || info.Pending != 1 {
			t.Errorf("nothing went back to the queue: %+v, error %v", info, err)
		}
	})
}

func TestFollower_DropsWhatIsNoLongerItsOwn(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		for _, id := range []string{"kept", "taken", "stopped"} {
			if id != "stopped" {
				b.task(t, id)
				if err := b.tasks.RunTask(testQueue, id); err != nil { // pending: neither gone nor to be renewed
					t.Fatal(err)
				}
			}
			step := &fake{}
			step.run = func() Next { return In(time.Second, step) }
			b.Add(id, "x", Now(step))
		}
		rest(3500 * time.Millisecond) // a third of a lease, and a bit
		if !b.Holds("kept") || b.Holds("taken") || b.Holds("stopped") {
			t.Errorf("held: %v", b.Counts())
		}
		if len(b.forgot) != 1 || b.forgot[0] != "stopped" {
			t.Errorf("forgot %q", b.forgot)
		}
	})
}

// A session whose lease may be over is not polled: another process may hold it.
func TestFollower_DoesNotPollAfterItsLease(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		if err := b.tasks.RunTask(testQueue, "a"); err != nil {
			t.Fatal(err)
		}
		var late atomic.Int64
		begun := time.Now()
		step := &fake{}
		step.run = func() Next {
			if time.Since(begun) > 8*time.Second {
				late.Add(1)
			}
			return In(time.Second, step)
		}
		b.Add("a", "x", Now(step))
		rest(30 * time.Second)
		if n := late.Load(); n > 0 {
			t.Errorf("%d polls after the lease", n)
		}
		if b.Holds("a") {
			t.Error("it is still held")
		}
	})
}

func TestFollower_GivesItsSessionsBackWhenItStops(t *testing.T) {
	inBed(t, 10, 1, func(b *bed) {
		b.task(t, "a")
		b.Add("a", "x", In(time.Hour, &fake{}))
		b.Stop(context.Background())
		if info, err := b.tasks.GetTaskInfo(testQueue, "a"); err != nil || info.State != asynq.TaskStatePending {
			t.Errorf("the task: %+v, error %v", info, err)
		}
	})
}
