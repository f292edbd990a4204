package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
)

// bounded makes the desk bound outstanding sessions. It counts when recount says
// so, and then waits for as long as that takes.
func (d *desk) bounded(limit int) *desk {
	d.api.census.limit, d.api.census.every, d.api.census.patience = limit, time.Hour, time.Minute
	d.api.patience = time.Minute
	return d
}

// recount has the next request that needs one make a count.
func (d *desk) recount() {
	d.api.census.mu.Lock()
	defer d.api.census.mu.Unlock()
	d.api.census.until = time.Time{}
}

// finish runs all follow tasks that are pending to their end.
func (d *desk) finish(n int) {
	d.t.Helper()
	ended := make(chan struct{}, n)
	server := asynq.NewServerFromRedisClient(d.rdb, asynq.Config{
		Queues: map[string]int{queue.Follow: 1}, LogLevel: asynq.FatalLevel, TaskCheckInterval: time.Millisecond,
	})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		ended <- struct{}{}
		return nil
	})); err != nil {
		d.t.Fatal(err)
	}
	for range n {
		<-ended
	}
	server.Shutdown()
}

// enqueueDirectly enqueues as applications in Go do.
func (d *desk) enqueueDirectly(account, token string) {
	d.t.Helper()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: d.rdb})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := client.Enqueue(context.Background(), tasks.Session{Account: account, Token: token, Method: tasks.SmartID}); err != nil {
		d.t.Fatal(err)
	}
}

func (c client) create(token string) reply {
	return c.do(http.MethodPost, "/v1/sessions", aSession(token))
}

func (c client) createMany(sessions ...any) reply {
	return c.do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": sessions})
}

func eachDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) { test(t, newDeskOn(t, rdb)) })
}

func TestOutstanding_LimitIsReachedAndFreedAgain(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		shop := d.bounded(3).as("shop")
		d.enqueueDirectly("shop", "direct") // it counts, and is not bound
		shop.create("a").session(http.StatusAccepted)
		shop.create("b").session(http.StatusAccepted)
		got := shop.create("c")
		got.problem(http.StatusTooManyRequests, "too_many_sessions")
		if got.header.Get("RateLimit-Policy") != `"sessions";q=3` || got.header.Get("RateLimit") != `"sessions";r=0` || got.header.Get("Retry-After") != "5" {
			t.Errorf("the headers are %v", got.header)
		}
		d.enqueueDirectly("shop", "direct-too")
		if d.enqueued("shop", "c") {
			t.Error("a session that was refused is in")
		}
		shop.create("a").problem(http.StatusConflict, "duplicate")
		shop.do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK)
		d.as("crm").create("c").session(http.StatusAccepted)

		d.finish(5)
		d.enqueueDirectly("shop", "direct-again")
		d.recount()
		shop.create("c").session(http.StatusAccepted)
		shop.create("d").session(http.StatusAccepted)
		shop.create("e").problem(http.StatusTooManyRequests, "too_many_sessions")
		shop.create("b").problem(http.StatusConflict, "duplicate") // it is finished, and known for the retention
	})
}

func TestOutstanding_HeadersStandBesideThoseOfTheRate(t *testing.T) {
	t.Parallel()
	d := newDesk(t).bounded(1)
	d.api.keys.find(d.keys["shop"]).account.allowed = newAllowance(1000)
	d.as("shop").create("a").session(http.StatusAccepted)
	got := d.as("shop").create("b").header
	if policies, left := got.Values("RateLimit-Policy"), got.Values("RateLimit"); len(policies) != 2 || len(left) != 2 ||
		!strings.HasPrefix(policies[0], `"account";`) || policies[1] != `"sessions";q=1` || left[1] != `"sessions";r=0` {
		t.Errorf("the headers are %v", got)
	}
}

// TestOutstanding_IsSeenToEndWithinASecond has the times that are served.
func TestOutstanding_IsSeenToEndWithinASecond(t *testing.T) {
	t.Parallel()
	checker() // outside of the bubble, for it outlives it
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		defer func() { rdb.Close(); mini.Close() }()
		d := newDeskOn(t, rdb)
		d.api.census.limit = 1
		shop := d.as("shop")
		shop.create("a").session(http.StatusAccepted)
		shop.create("b").problem(http.StatusTooManyRequests, "too_many_sessions")
		if err := asynq.NewInspectorFromRedisClient(rdb).DeleteTask(queue.Follow, "shop:a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(countEvery)
		shop.create("b").session(http.StatusAccepted)
		shop.create("c").problem(http.StatusTooManyRequests, "too_many_sessions")
	})
}

// TestOutstanding_AReceiverThatIsAwayHoldsUpNoIdentification has a whole worker.
func TestOutstanding_AReceiverThatIsAwayHoldsUpNoIdentification(t *testing.T) {
	withWorker(t, func(d *desk, sim *marksim.Simulator) {
		d.api.census.limit = 1
		d.receive = func(*http.Request) (*http.Response, error) { return nil, errors.New("away") }
		app := d.as("default")
		sim.Add("a", marksim.SmartID, confirming(5*time.Second))
		sim.Add("b", marksim.SmartID, confirming(5*time.Second))
		app.create("a").session(http.StatusAccepted)
		app.await("a", "following")
		time.Sleep(2 * countEvery)
		app.create("b").problem(http.StatusTooManyRequests, "too_many_sessions")
		app.await("a", "delivering")
		time.Sleep(2 * countEvery)
		app.create("b").session(http.StatusAccepted)
		app.await("b", "delivering")
		if s := app.do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK); s.State != "delivering" {
			t.Errorf("the first is %s", s.State)
		}
	})
}

func TestOutstanding_DeliveriesThatWaitAreNotCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t).bounded(1)
	client := asynq.NewClientFromRedisClient(d.rdb)
	for _, queue := range []string{queue.Deliver, queue.Remove} {
		if _, err := client.Enqueue(asynq.NewTask("test", nil), asynq.Queue(queue), asynq.TaskID("shop:handed")); err != nil {
			t.Fatal(err)
		}
	}
	d.as("shop").create("a").session(http.StatusAccepted)
	d.as("shop").create("b").problem(http.StatusTooManyRequests, "too_many_sessions")
}

func TestOutstanding_ABatchIsTakenWholeOrNotAtAll(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		shop := d.bounded(5).as("shop")
		for _, token := range []string{"a", "b", "c"} {
			shop.create(token).session(http.StatusAccepted)
		}
		tooMany := []any{aSession("a"), map[string]any{}, aSession("d"), aSession("d"), aSession("e"), aSession("f")}
		got := shop.createMany(tooMany...)
		got.problem(http.StatusTooManyRequests, "too_many_sessions")
		if got.header.Get("RateLimit") != `"sessions";r=2` {
			t.Errorf("RateLimit is %s", got.header.Get("RateLimit"))
		}
		if d.enqueued("shop", "d") || d.enqueued("shop", "e") || d.enqueued("shop", "f") {
			t.Error("some of a refused batch is in")
		}
		var done BatchAnswer
		shop.createMany(tooMany[:5]...).into(http.StatusOK, &done)
		if done.Enqueued != 2 || done.Duplicates != 2 || done.Invalid != 1 {
			t.Errorf("%+v", done)
		}
		shop.createMany(tooMany[:5]...).into(http.StatusOK, &done) // repeated at the limit
		if done.Enqueued != 0 || done.Duplicates != 4 || done.Invalid != 1 {
			t.Errorf("repeated: %+v", done)
		}
		var never []any
		for i := range 6 {
			never = append(never, aSession(fmt.Sprint("never-", i)))
		}
		p := shop.createMany(never...).problem(http.StatusUnprocessableEntity, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Field != "sessions" || !strings.Contains(p.Errors[0].Problem, "MAX_SESSIONS") {
			t.Errorf("%+v", p)
		}
	})
}

func TestOutstanding_OfTwoProcessesOnOneRedis(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		first, second := d.bounded(4), newDeskOn(t, d.rdb).bounded(4)
		second.as("shop").create("0").session(http.StatusAccepted) // it has counted now
		for _, token := range []string{"1", "2", "3"} {
			first.as("shop").create(token).session(http.StatusAccepted)
		}
		first.as("shop").create("4").problem(http.StatusTooManyRequests, "too_many_sessions")
		second.recount()
		second.as("shop").create("4").problem(http.StatusTooManyRequests, "too_many_sessions")
		second.as("shop").create("1").problem(http.StatusConflict, "duplicate")
		third := newDeskOn(t, d.rdb).bounded(4)
		third.as("shop").create("4").problem(http.StatusTooManyRequests, "too_many_sessions")
		third.as("crm").create("4").session(http.StatusAccepted)
	})
}

// TestOutstanding_ManyOfOneAccountLeaveAnotherAlone has more sessions in the queue
// than one account may have.
func TestOutstanding_ManyOfOneAccountLeaveAnotherAlone(t *testing.T) {
	eachDesk(t, func(_ *testing.T, d *desk) {
		d.bounded(3)
		for i := range 10 {
			d.enqueueDirectly("crm", strconv.Itoa(i))
			d.enqueueDirectly("gone", strconv.Itoa(i)) // of no account that is known here
		}
		d.as("crm").create("a").problem(http.StatusTooManyRequests, "too_many_sessions")
		for _, token := range []string{"a", "b", "c"} {
			d.as("shop").create(token).session(http.StatusAccepted)
		}
		d.as("shop").create("d").problem(http.StatusTooManyRequests, "too_many_sessions")
	})
}

func TestOutstanding_RequestsAtOnceShareTheRoom(t *testing.T) {
	eachDesk(t, func(t *testing.T, d *desk) {
		d.bounded(10)
		var accepted, refused atomic.Int64
		var requests sync.WaitGroup
		for i := range 40 {
			requests.Go(func() {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sessions", reader(t, aSession(strconv.Itoa(i))))
				r.Header = d.as("shop").with("Content-Type", "application/json").header
				rec := httptest.NewRecorder()
				switch d.api.ServeHTTP(rec, r); rec.Code {
				case http.StatusAccepted:
					accepted.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				}
			})
		}
		requests.Wait()
		if accepted.Load() != 10 || refused.Load() != 30 {
			t.Errorf("%d were accepted and %d refused", accepted.Load(), refused.Load())
		}
	})
}
