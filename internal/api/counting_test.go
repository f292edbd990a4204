package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// asked counts the commands that Redis gets, by name, and fails those that match.
type asked struct {
	mu    sync.Mutex
	names map[string]int
	fail  func(redis.Cmder) error
}

func (a *asked) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *asked) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := a.note(cmd); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (a *asked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if err := a.note(cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmds)
	}
}

func (a *asked) note(cmd redis.Cmder) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name := cmd.Name(); name != "hello" && name != "client" { // of a new connection
		a.names[name]++
	}
	if a.fail != nil {
		return a.fail(cmd)
	}
	return nil
}

// take returns what was counted, and begins again, failing what is given.
func (a *asked) take(fail func(redis.Cmder) error) map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := a.names
	a.names, a.fail = map[string]int{}, fail
	return names
}

func (d *desk) watched() *asked {
	a := &asked{names: map[string]int{}}
	d.rdb.AddHook(a)
	return a
}

func TestOutstanding_IsNotCountedForEachRequest(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.as("shop").create("first").session(http.StatusAccepted) // without a bound
	redisGets := d.watched()
	d.as("shop").create("second").session(http.StatusAccepted)
	unbounded := redisGets.take(nil)
	shop := d.bounded(50).as("shop")
	for i := range 48 {
		shop.create(strconv.Itoa(i)).session(http.StatusAccepted)
	}
	got := redisGets.take(nil)
	for name, n := range unbounded {
		got[name] -= 48 * n
	}
	counting := map[string]int{"llen": 2, "zcard": 4, "lrange": 1, "hget": 1}
	for name, n := range got {
		if n != counting[name] {
			t.Errorf("48 requests under the bound: %s %d times more than 48 without one, want %d", name, n, counting[name])
		}
	}

	shop.create("first-over").problem(http.StatusTooManyRequests, "too_many_sessions")
	if n := redisGets.take(nil)["zscan"]; n != 2 {
		t.Errorf("the sets were read in %d pages", n)
	}
	for range 20 {
		shop.create("over").problem(http.StatusTooManyRequests, "too_many_sessions")
	}
	if got := redisGets.take(nil); len(got) != 1 || got["exists"] != 20 {
		t.Errorf("20 requests over the bound: %v", got)
	}
}

func TestOutstanding_AnOutageOfRedisIsNo429(t *testing.T) {
	t.Parallel()
	d := newDesk(t).bounded(2)
	shop, redisGets := d.as("shop"), d.watched()
	shop.create("a").session(http.StatusAccepted)
	shop.create("b").session(http.StatusAccepted)
	shop.create("c").problem(http.StatusTooManyRequests, "too_many_sessions")
	redisGets.take(func(redis.Cmder) error { return errors.New("ERR down") })
	shop.create("a").problem(http.StatusServiceUnavailable, "unavailable") // the count is fresh
	d.recount()
	for range 5 {
		shop.create("c").problem(http.StatusServiceUnavailable, "unavailable")
		shop.createMany(aSession("c"), aSession("d")).problem(http.StatusServiceUnavailable, "unavailable")
	}
	if strings.Count(d.log.String(), "cannot count the sessions") != 1 {
		t.Errorf("the log says %s", d.log)
	}
	redisGets.take(nil)
	d.recount()
	shop.create("c").problem(http.StatusTooManyRequests, "too_many_sessions")
	shop.create("a").problem(http.StatusConflict, "duplicate")
}

// TestOutstanding_WhatDidNotGoInTakesNoRoom has far more sessions fail than there
// is room for, with no count in between.
func TestOutstanding_WhatDidNotGoInTakesNoRoom(t *testing.T) {
	t.Parallel()
	d := newDesk(t).bounded(3)
	shop, redisGets := d.as("shop"), d.watched()
	shop.create("a").session(http.StatusAccepted)
	redisGets.take(func(cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			return errors.New("ERR no more")
		}
		return nil
	})
	for i := range 5 {
		shop.create(fmt.Sprint("failed-", i)).problem(http.StatusServiceUnavailable, "unavailable")
		shop.createMany(aSession("b"), aSession("c")).problem(http.StatusServiceUnavailable, "unavailable")
	}
	redisGets.take(nil)
	for range 5 {
		shop.create("a").problem(http.StatusConflict, "duplicate")
	}
	shop.createMany(aSession("a"), aSession("b"), aSession("c"), map[string]any{}).into(http.StatusOK, new(BatchAnswer))
	shop.create("d").problem(http.StatusTooManyRequests, "too_many_sessions")
}

// TestOutstanding_NobodyWaitsLongForACount has a count hang.
func TestOutstanding_NobodyWaitsLongForACount(t *testing.T) {
	t.Parallel()
	checker() // outside of the bubble, for it outlives it
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		defer func() { rdb.Close(); mini.Close() }()
		d := newDeskOn(t, rdb)
		d.api.census.limit = 2
		d.enqueueDirectly("crm", "a")
		d.enqueueDirectly("crm", "b")
		release := make(chan struct{})
		rdb.AddHook(&held{"zscan", release})
		began := time.Now()
		d.as("shop").create("a").session(http.StatusAccepted)
		if waited := time.Since(began); waited > countPatience {
			t.Errorf("it waited for %v", waited)
		}
		close(release)
		synctest.Wait()
		d.as("crm").create("c").problem(http.StatusTooManyRequests, "too_many_sessions")
	})
}

// TestOutstanding_WhatIsUnderWayKeepsItsRoomThroughACount has a count made while a
// session is on its way to Redis, so that no list has it.
func TestOutstanding_WhatIsUnderWayKeepsItsRoomThroughACount(t *testing.T) {
	t.Parallel()
	checker() // outside of the bubble, for it outlives it
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		defer func() { rdb.Close(); mini.Close() }()
		d := newDeskOn(t, rdb)
		d.api.census.limit = 1
		release := make(chan struct{})
		rdb.AddHook(&held{"evalsha", release})
		var ended sync.WaitGroup
		ended.Go(func() { d.as("shop").create("a").session(http.StatusAccepted) })
		synctest.Wait()
		for range 3 {
			d.recount()
			d.as("shop").create("b").problem(http.StatusTooManyRequests, "too_many_sessions")
		}
		close(release)
		ended.Wait()
		d.recount()
		d.as("shop").create("b").problem(http.StatusTooManyRequests, "too_many_sessions")
	})
}

// held is a Redis that answers no command of a name until it is released.
type held struct {
	name    string
	release chan struct{}
}

func (h *held) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *held) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == h.name {
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *held) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
