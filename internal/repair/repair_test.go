package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/sessiontest"
)

// bed is a Repairer of the queues of sessions and of deliveries.
type bed struct {
	*sessiontest.Bed
	*Repairer
}

const longestPause = time.Hour // of both queues

func inBed(t *testing.T, test func(b *bed)) {
	t.Helper()
	sessiontest.In(t, func(s *sessiontest.Bed) {
		gauges := func(labels ...string) *prometheus.GaugeVec {
			return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "n"}, labels)
		}
		test(&bed{s, New(Options{
			Queues: []Queue{
				{Tasks: lease.NewQueue(s.Redis, queue.Follow), LongestPause: longestPause, Spread: time.Second},
				{Tasks: lease.NewQueue(s.Redis, queue.Deliver), LongestPause: longestPause, Spread: time.Second, Scheduled: true},
			},
			Records: s.Records, Tasks: s.Tasks, Metrics: Metrics{Tasks: gauges("queue", "shard", "state"), Age: gauges("queue", "shard")}, Log: s.Log,
		})})
	})
}

// while runs the Repairer beside a test. It works at whole seconds: a test that looks
// for what it did waits a step longer.
func (b *bed) while(test func()) {
	b.T.Helper()
	ctx, stop := context.WithCancel(b.Ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Run(ctx)
	}()
	synctest.Wait()
	test()
	stop()
	<-ended
}

func jobOf(token string) session.Job {
	job := sessiontest.Job()
	job.Token = token
	return job
}

// deliveries makes a task of webhook:deliver for each token; it is pending.
func (b *bed) deliveries(tokens ...string) {
	b.T.Helper()
	for _, token := range tokens {
		if err := b.Tasks.EnsureDelivery(b.Ctx, jobOf(token), 0); err != nil {
			b.T.Fatal(err)
		}
	}
}

// orphan makes a task that is in no list.
func (b *bed) orphan(token string) {
	b.T.Helper()
	b.deliveries(token)
	b.drop(token)
}

// drop takes a pending task out of its list, as a Redis does that loses a list.
func (b *bed) drop(token string) {
	b.T.Helper()
	if n := b.Redis.LRem(b.Ctx, "asynq:{"+queue.Deliver+"}:pending", 0, jobOf(token).ID()).Val(); n != 1 {
		b.T.Fatalf("%s stood %d times in the list", token, n)
	}
}

// die takes a pending task as a worker does that dies, and leaves asynq's lease as
// given; zero is none.
func (b *bed) die(token string, leaseLeft time.Duration) {
	b.T.Helper()
	b.orphan(token)
	id, prefix := jobOf(token).ID(), "asynq:{"+queue.Deliver+"}:"
	b.Redis.LPush(b.Ctx, prefix+"active", id)
	b.Redis.HSet(b.Ctx, prefix+"t:"+id, "state", "active")
	if leaseLeft > 0 {
		b.Redis.ZAdd(b.Ctx, prefix+"lease", redis.Z{Score: float64(time.Now().Add(leaseLeft).Unix()), Member: id})
	}
}

// isPending reports whether a delivery is in the list of what runs next.
func (b *bed) isPending(token string) bool {
	b.T.Helper()
	for _, id := range b.Redis.LRange(b.Ctx, "asynq:{"+queue.Deliver+"}:pending", 0, -1).Val() {
		if id == jobOf(token).ID() {
			return true
		}
	}
	return false
}

// step is how exactly a test sees when something happens.
const step = 100 * time.Millisecond

// awaitPending reports how long it took until a delivery is pending.
func (b *bed) awaitPending(token string) time.Duration {
	b.T.Helper()
	begun := time.Now()
	for !b.isPending(token) {
		if time.Since(begun) > time.Hour {
			b.T.Fatalf("%s is never pending", token)
		}
		time.Sleep(step)
		synctest.Wait()
	}
	return time.Since(begun)
}

func TestRun_PutsTasksOfDeadWorkersBackWithinASecond(t *testing.T) {
	inBed(t, func(b *bed) {
		b.while(func() {
			b.die("alive", 30*time.Second)
			b.die("dead", 0)
			if took := b.awaitPending("dead"); took > sweepPause+step {
				t.Errorf("it took %v", took)
			}
			if b.isPending("alive") {
				t.Error("the task of a live worker is put back")
			}
			b.die("later", 0)
			if took := b.awaitPending("later"); took > sweepPause+step {
				t.Errorf("the next took %v", took)
			}
			if took := b.awaitPending("alive"); took < 5*time.Second {
				t.Errorf("its lease was stale after %v", took)
			}
		})
		if n := b.Logged("put tasks back that a dead worker had"); n != 3 {
			t.Errorf("logged %d times", n)
		}
	})
}

// A clock that stepped back left due times behind that nobody asked for. What an
// application scheduled itself is its own business.
func TestRun_BringsTasksBackFromTheFuture(t *testing.T) {
	inBed(t, func(b *bed) {
		far := asynq.ProcessIn(longestPause + 2*time.Minute)
		client := asynq.NewClientFromRedisClient(b.Redis)
		for _, newTask := range []func(session.Job) (*asynq.Task, error){queue.NewFollowTask, queue.NewDeliverTask} {
			task, err := newTask(sessiontest.Job())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Enqueue(task, far); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Tasks.EnsureDelivery(b.Ctx, jobOf("soon"), longestPause); err != nil {
			t.Fatal(err)
		}
		b.while(func() { time.Sleep(sweepPause + time.Millisecond) })
		for _, c := range []struct {
			queue, token string
			least, most  time.Duration
		}{
			{queue.Follow, "a", longestPause, 2 * longestPause},
			{queue.Deliver, "a", 0, 2 * time.Second},
			{queue.Deliver, "soon", longestPause - 3*time.Second, longestPause},
		} {
			info, err := b.Tasks.Find(c.queue, jobOf(c.token).ID())
			if err != nil || info == nil {
				t.Fatal(info, err)
			}
			if due := time.Until(info.NextProcessAt); due < c.least-2*time.Second || due > c.most {
				t.Errorf("%s %s is due in %v", c.queue, c.token, due)
			}
		}
	})
}

// Each second is one try: what goes wrong is tried again in the next.
func TestRun_GoesOnWhenRedisIsBack(t *testing.T) {
	inBed(t, func(b *bed) {
		b.while(func() {
			b.die("dead", 0)
			b.RedisFails()
			time.Sleep(time.Minute)
			b.RedisIsBack()
			if took := b.awaitPending("dead"); took > sweepPause+step {
				t.Errorf("it took %v", took)
			}
		})
	})
}

func TestRun_LooksForOrphansAtTheStart(t *testing.T) {
	inBed(t, func(b *bed) {
		b.orphan("a")
		b.while(func() {
			if !b.isPending("a") {
				t.Error("it is not found")
			}
		})
		if b.Logged("made tasks run that were in no list") != 1 {
			t.Errorf("the log:\n%s", b.Logs())
		}
	})
}

// A look reads the whole key space, so without a reason it is seldom.
func TestRun_LooksForOrphansEachTenMinutes(t *testing.T) {
	inBed(t, func(b *bed) {
		b.while(func() {
			time.Sleep(time.Minute)
			b.orphan("a")
			if took := b.awaitPending("a"); took < 8*time.Minute || took > searchPause+step {
				t.Errorf("it took %v", took)
			}
		})
	})
}

func TestSuspect_HasOrphansLookedForSoon(t *testing.T) {
	inBed(t, func(b *bed) {
		b.while(func() {
			for range 2 { // each after a while without trouble
				time.Sleep(2 * time.Minute)
				b.orphan("a")
				b.Suspect()
				if took := b.awaitPending("a"); took > sweepPause+step {
					t.Errorf("it took %v", took)
				}
			}
		})
	})
}

// What was found may be lost once more with Redis's last second.
func TestRun_LooksOnceMoreAfterItFoundOrphans(t *testing.T) {
	inBed(t, func(b *bed) {
		b.orphan("a")
		b.while(func() {
			b.drop("a")
			if took := b.awaitPending("a"); took > leastOrphanPause+sweepPause+step {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// watchScans notes when tasks are looked for, since now. A look scans each queue.
func (b *bed) watchScans(looks *[]time.Duration) {
	b.Redis.Ping(b.Ctx)
	begun := time.Now()
	b.Mini.Server().SetPreHook(func(_ *server.Peer, cmd string, args ...string) bool {
		if cmd == "SCAN" && slices.ContainsFunc(args, func(arg string) bool { return strings.Contains(arg, queue.Follow) }) {
			*looks = append(*looks, time.Since(begun))
		}
		return false
	})
}

// While asynq's trouble lasts and nothing is found, the pauses between two looks
// double, up to a minute.
func TestSuspect_IsFollowedLessOftenWhileNothingIsFound(t *testing.T) {
	inBed(t, func(b *bed) {
		var looks []time.Duration
		b.watchScans(&looks)
		b.while(func() {
			for range 300 { // 5 minutes of trouble, told each second
				b.Suspect()
				time.Sleep(time.Second)
			}
		})
		synctest.Wait()
		want := []int{0, 2, 6, 14, 30, 62, 122, 182, 242}
		if len(looks) != len(want) {
			t.Fatalf("looked %d times: %v", len(looks), looks)
		}
		for i, at := range looks {
			if off := at - time.Duration(want[i])*time.Second; off < -time.Second || off > 4*time.Second {
				t.Errorf("look %d was after %v, want about %d s", i+1, at, want[i])
			}
		}
	})
}

// A look that failed is made again, and not forgotten.
func TestRun_LooksAgainAfterALookThatFailed(t *testing.T) {
	inBed(t, func(b *bed) {
		b.orphan("a")
		b.RedisFails()
		b.while(func() {
			time.Sleep(30 * time.Second)
			b.RedisIsBack()
			if took := b.awaitPending("a"); took > mostOrphanPause+step {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// Whoever asked for an event to be delivered again died before its task was made.
func TestRun_MakesTheTasksOfRedeliveries(t *testing.T) {
	for state, made := range map[outcome.State]bool{
		outcome.Redelivering: true, outcome.GivenUp: false, outcome.Delivered: false, outcome.Cancelled: false, outcome.Sealed: false,
	} {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.Tell(state)
				b.while(func() {
					if b.isPending("a") != made {
						t.Errorf("its task is made: %v", !made)
					}
				})
			})
		})
	}
}

func TestRun_LooksForRedeliveriesEachTenMinutes(t *testing.T) {
	inBed(t, func(b *bed) {
		b.while(func() {
			time.Sleep(time.Second)
			b.Tell(outcome.Redelivering)
			if took := b.awaitPending("a"); took < searchPause-2*time.Second || took > searchPause+step {
				t.Errorf("it took %v", took)
			}
		})
	})
}

// One that cannot be delivered any more keeps no other from it.
func TestRun_PassesOverWhatNobodyCanDeliver(t *testing.T) {
	for name, spoil := range map[string]func(b *bed, key string){
		"its task cannot be read":      func(b *bed, key string) { b.Redis.HSet(b.Ctx, key, "task", "{") },
		"its task is another's":        func(b *bed, key string) { b.Redis.HSet(b.Ctx, key, "task", string(payload(b.T, "other"))) },
		"its record is lost":           func(b *bed, key string) { b.Redis.Del(b.Ctx, key) },
		"its record is a later one":    func(b *bed, key string) { b.Redis.HSet(b.Ctx, key, "v", "2", "state", "elsewhere") },
		"it is delivered in the while": func(b *bed, key string) { b.Redis.HSet(b.Ctx, key, "state", string(outcome.Delivered)) },
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				for _, token := range []string{"first", "spoilt", "third"} {
					b.TellOf(jobOf(token), outcome.Redelivering)
					time.Sleep(time.Second)
				}
				spoil(b, "identwatch:"+jobOf("spoilt").ID())
				b.while(func() {
					if !b.isPending("first") || b.isPending("spoilt") || b.isPending("other") || !b.isPending("third") {
						t.Errorf("pending: %v", b.Redis.LRange(b.Ctx, "asynq:{"+queue.Deliver+"}:pending", 0, -1).Val())
					}
				})
			})
		})
	}
}

// One whose result is erased is given up by the run of its task, and leaves the list.
func TestRun_HasARedeliveryGivenUpWhoseResultIsErased(t *testing.T) {
	inBed(t, func(b *bed) {
		b.Tell(outcome.Redelivering)
		b.Redis.Del(b.Ctx, "identwatch:"+jobOf("a").ID()+":sealed")
		b.while(func() {
			if !b.isPending("a") {
				t.Error("it has no task")
			}
		})
		if ids, err := b.Records.GivenUp(b.Ctx, time.Time{}); err != nil || len(ids) != 0 {
			t.Errorf("the list: %v, %v", ids, err)
		}
	})
}

func payload(t *testing.T, token string) []byte {
	t.Helper()
	task, err := queue.NewDeliverTask(jobOf(token))
	if err != nil {
		t.Fatal(err)
	}
	return task.Payload()
}

// What is erased leaves the list of what was given up.
func TestRun_PrunesTheListOfWhatWasGivenUp(t *testing.T) {
	inBed(t, func(b *bed) {
		for _, token := range []string{"kept", "erased"} {
			b.TellOf(jobOf(token), outcome.GivenUp)
		}
		b.Redis.Del(b.Ctx, "identwatch:default:erased:sealed")
		b.while(func() {})
		if ids, err := b.Records.GivenUp(b.Ctx, time.Time{}); err != nil || len(ids) != 1 || ids[0] != "default:kept" {
			t.Errorf("the list: %v, %v", ids, err)
		}
	})
}

// A list that is long is read in batches, and to its end.
func TestRun_ReadsTheListInBatches(t *testing.T) {
	inBed(t, func(b *bed) {
		var erased []redis.Z
		for i := range 2*redeliveryBatch + 1 {
			erased = append(erased, redis.Z{Score: float64(i), Member: fmt.Sprint("default:erased", i)})
		}
		b.Redis.ZAdd(b.Ctx, "identwatch:given-up", erased...)
		b.Tell(outcome.Redelivering) // the last
		b.while(func() {
			if !b.isPending("a") {
				t.Error("the last is not found")
			}
		})
	})
}

func TestMeasure_CountsTasks(t *testing.T) {
	inBed(t, func(b *bed) {
		b.deliveries("a", "b")
		b.while(func() {
			time.Sleep(measurePause + sweepPause + step)
			age := testutil.ToFloat64(b.opts.Metrics.Age.WithLabelValues(queue.Deliver, "0"))
			if n := testutil.ToFloat64(b.opts.Metrics.Tasks.WithLabelValues(queue.Deliver, "0", "pending")); n != 2 || age < 6 || age >= 7 {
				t.Errorf("%v pending, the oldest for %v s", n, age)
			}
			b.deliveries("c")
			time.Sleep(measurePause + step)
			if n := testutil.ToFloat64(b.opts.Metrics.Tasks.WithLabelValues(queue.Deliver, "0", "pending")); n != 3 {
				t.Errorf("%v pending", n)
			}
		})
	})
}

// A count that is no longer known is not shown.
func TestMeasure_ForgetsWhatRedisDoesNotSay(t *testing.T) {
	inBed(t, func(b *bed) {
		b.deliveries("a")
		b.while(func() {
			time.Sleep(sweepPause + step)
			shown := func() int {
				return testutil.CollectAndCount(b.opts.Metrics.Tasks) + testutil.CollectAndCount(b.opts.Metrics.Age)
			}
			if n := shown(); n != 14 { // six states and an age of two queues
				t.Errorf("%d counts", n)
			}
			b.RedisFails()
			time.Sleep(measurePause + sweepPause + step)
			if n := shown(); n != 0 {
				t.Errorf("%d counts without Redis", n)
			}
			b.RedisIsBack()
			time.Sleep(measurePause + sweepPause + step)
			if n := shown(); n != 14 {
				t.Errorf("%d counts when Redis is back", n)
			}
		})
	})
}

func TestRegister_WaitsForRedis(t *testing.T) {
	inBed(t, func(b *bed) {
		b.RedisFails()
		time.AfterFunc(time.Minute, b.RedisIsBack)
		begun := time.Now()
		if registered := b.Register(b.Ctx); !registered || time.Since(begun) < time.Minute {
			t.Errorf("registered: %v, after %v", registered, time.Since(begun))
		}
		if names, err := b.Inspector.Queues(); err != nil || len(names) != 2 {
			t.Errorf("asynq knows %v, %v", names, err)
		}
	})
}

func TestRegister_EndsWithItsContext(t *testing.T) {
	inBed(t, func(b *bed) {
		b.RedisFails()
		ctx, stop := context.WithTimeout(b.Ctx, time.Minute)
		defer stop()
		if b.Register(ctx) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error("it says that the queues are registered")
		}
		b.RedisIsBack()
	})
}

// A task in the queue of a Redis with one shard would wait forever, and nobody would know.
func TestRun_WarnsOfTasksInAQueueThatNobodyServes(t *testing.T) {
	const warning = "tasks wait in a queue that no worker serves"
	inBed(t, func(b *bed) {
		b.opts.Stray = lease.NewQueue(b.Redis, "identwatch-follow")
		b.while(func() {
			time.Sleep(2*strayPause + step) // the worker looks at whole minutes
			if n := b.Logged(warning); n != 0 {
				t.Errorf("warned %d times of nothing", n)
			}
			if err := b.Tasks.EnsureFollow(b.Ctx, jobOf("stray")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * strayPause)
			if n := b.Logged(warning); n != 3 || !strings.Contains(b.Logs(), "queue=identwatch-follow tasks=1") {
				t.Errorf("warned %d times in three minutes:\n%s", n, b.Logs())
			}
			b.Redis.FlushAll(b.Ctx)
			time.Sleep(2 * strayPause)
			if n := b.Logged(warning); n != 3 {
				t.Errorf("warned %d times of what is gone", n-3)
			}
		})
	})
}
