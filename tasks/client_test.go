package tasks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

func TestMain(m *testing.M) {
	if os.Getenv("IDENTWATCH_TEST_APPLICATION") == "" { // see TestEnqueue_WritesNothing
		logging.Disable() // go-redis writes to standard error what it returns anyway
	}
	os.Exit(m.Run())
}

func newClient(t *testing.T, rdb redis.UniversalClient) *Client {
	t.Helper()
	client, err := NewClient(ClientConfig{Redis: rdb})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// same reports whether a decoded task is a session's.
func same(got session.Job, s Session, retention time.Duration) bool {
	want := s.job()
	want.Retention = retention
	if !got.StartedAt.Equal(want.StartedAt) {
		return false
	}
	got.StartedAt, want.StartedAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(got, want)
}

// state is what asynq says of the session's follow task.
func state(t *testing.T, rdb redis.UniversalClient, s Session) *asynq.TaskInfo {
	t.Helper()
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(queue.Follow, s.ID())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestEnqueue_PutsTheSessionIntoTheFollowQueue(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := valid()
		if err := newClient(t, rdb).Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		info := state(t, rdb, s)
		got, err := queue.Decode(info.Payload)
		if err != nil || !same(got, s, DefaultRetention) || info.State != asynq.TaskStatePending {
			t.Errorf("got %+v, error %v, task %+v", got, err, info)
		}
	})
}

func TestEnqueue_RefusesAnInvalidSessionBeforeRedis(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	err := newClient(t, rdb).Enqueue(t.Context(), Session{Token: "a"})
	if got := fields(t, err); len(got) != 1 || got[0] != "method" {
		t.Errorf("refused %q", got)
	}
}

func TestEnqueue_TwiceIsADuplicateAndChangesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client := newClient(t, rdb)
		if err := client.Enqueue(t.Context(), valid()); err != nil {
			t.Fatal(err)
		}
		before := state(t, rdb, valid())
		other := with(func(s *Session) { s.Reference, s.Method = "another", MobileID })
		if err := client.Enqueue(t.Context(), other); !errors.Is(err, ErrDuplicate) {
			t.Errorf("got %v, want ErrDuplicate", err)
		}
		if after := state(t, rdb, valid()); string(after.Payload) != string(before.Payload) {
			t.Errorf("the task became %s", after.Payload)
		}
	})
}

func TestEnqueue_TheSameTokenOfAnotherAccountIsNoDuplicate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client := newClient(t, rdb)
		for _, account := range []string{"", "shop", "bank"} {
			if err := client.Enqueue(t.Context(), with(func(s *Session) { s.Account = account })); err != nil {
				t.Errorf("account %q: %v", account, err)
			}
		}
		if err := client.Enqueue(t.Context(), with(func(s *Session) { s.Account = DefaultAccount })); !errors.Is(err, ErrDuplicate) {
			t.Errorf("the default account by its name: %v", err)
		}
	})
}

func TestEnqueue_OfManyAtOnceIsOne(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		clients := []*Client{newClient(t, rdb), newClient(t, rdb)}
		const rounds, callers = 20, 8
		for round := range rounds {
			s := with(func(s *Session) { s.Token = fmt.Sprint("t", round) })
			in, duplicates := enqueueAtOnce(t, clients, callers, s)
			if in != 1 || duplicates != callers-1 {
				t.Fatalf("%d were told that it is in, %d that it is a duplicate", in, duplicates)
			}
		}
		info, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(queue.Follow)
		if err != nil || info.Size != rounds {
			t.Errorf("got %+v, error %v, want %d tasks", info, err, rounds)
		}
	})
}

func enqueueAtOnce(t *testing.T, clients []*Client, callers int, s Session) (in, duplicates int) {
	t.Helper()
	errs := make(chan error, callers)
	var ready sync.WaitGroup
	ready.Add(callers)
	for i := range callers {
		go func() {
			ready.Done()
			ready.Wait()
			errs <- clients[i%len(clients)].Enqueue(t.Context(), s)
		}()
	}
	for range callers {
		switch err := <-errs; {
		case err == nil:
			in++
		case errors.Is(err, ErrDuplicate):
			duplicates++
		default:
			t.Error(err)
		}
	}
	return in, duplicates
}

func TestEnqueue_RunsAnArchivedTaskAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, s := newClient(t, rdb), valid()
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := asynq.NewInspectorFromRedisClient(rdb).ArchiveTask(queue.Follow, s.ID()); err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Errorf("an archived task: %v", err)
		}
		if got := state(t, rdb, s).State; got != asynq.TaskStatePending {
			t.Errorf("the task is %v", got)
		}
		if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
			t.Errorf("once mended: %v", err)
		}
	})
}

func TestEnqueue_OfADeletedTaskIsNew(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, s := newClient(t, rdb), valid()
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := asynq.NewInspectorFromRedisClient(rdb).DeleteTask(queue.Follow, s.ID()); err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Errorf("a deleted task: %v", err)
		}
	})
}

// TestEnqueue_OfAFinishedSessionIsADuplicate has asynq itself finish the task,
// and keep it for its retention.
func TestEnqueue_OfAFinishedSessionIsADuplicate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, s := newClient(t, rdb), valid()
		finished := make(chan struct{})
		server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
			Concurrency: 1, Queues: map[string]int{queue.Follow: 1}, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
		})
		if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { close(finished); return nil })); err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		<-finished
		server.Shutdown()
		if got := state(t, rdb, s).State; got != asynq.TaskStateCompleted {
			t.Fatalf("the task is %v", got)
		}
		if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
			t.Errorf("got %v, want ErrDuplicate", err)
		}
	})
}

func TestEnqueue_WithoutRedisFailsAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://user:hunter2@127.0.0.1:1/0?max_retries=-1",
		"rediss://user:hunter2@127.0.0.1:1/0?max_retries=-1",
		"redis-socket://user:hunter2@/nowhere/redis.sock",
		"redis-sentinel://user:hunter2@127.0.0.1:1/0?master=m&sentinel_password=hunter2",
	} {
		client, err := NewClient(ClientConfig{RedisURL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err = client.Enqueue(ctx, valid())
		if err == nil || errors.Is(err, ErrDuplicate) {
			t.Errorf("%.14s: got %v", url, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestEnqueue_HeedsItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rdb, mini := redistest.Embedded()
	defer mini.Close()
	defer rdb.Close()
	if err := newClient(t, rdb).Enqueue(ctx, valid()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEnqueue_WorksAgainOnceRedisIsBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := newClient(t, server.Client())
	server.Kill()
	if err := client.Enqueue(t.Context(), valid()); err == nil {
		t.Fatal("enqueued without Redis")
	}
	server.Restart()
	if err := client.Enqueue(t.Context(), valid()); err != nil {
		t.Error(err)
	}
}

// TestEnqueue_TwiceAfterRedisLostItsData has Redis lose the name of the queue,
// which asynq's client does not tell it again.
func TestEnqueue_TwiceAfterRedisLostItsData(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	client, err := NewClient(ClientConfig{Redis: rdb})
	if err != nil {
		t.Fatal(err)
	}
	s := Session{Token: "token-1", Method: SmartID}
	if err := client.Enqueue(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Enqueue(t.Context(), s); err != nil {
		t.Errorf("enqueueing what Redis lost: %v", err)
	}
	if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
		t.Errorf("enqueueing it once more: %v, want ErrDuplicate", err)
	}
}

func TestNewClient_HasAnAccountForSessionsThatNameNone(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	client, err := NewClient(ClientConfig{Redis: rdb, Account: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Session{{Token: "token-1", Method: SmartID}, {Token: "token-1", Method: SmartID, Account: "crm"}} {
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	for _, id := range []string{"shop:token-1", "crm:token-1"} {
		if _, err := inspector.GetTaskInfo(queue.Follow, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestNewClient_RefusesARetentionOutOfBounds(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{})
	defer rdb.Close()
	for _, retention := range []time.Duration{-1, time.Second, MaxRetention + 1} {
		if _, err := NewClient(ClientConfig{Redis: rdb, Retention: retention}); err == nil {
			t.Errorf("took a retention of %v", retention)
		}
	}
}

func TestNewClient_KeepsFinishedTasksForItsRetention(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, err := NewClient(ClientConfig{Redis: rdb, Retention: 48 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), valid()); err != nil {
			t.Fatal(err)
		}
		if got := state(t, rdb, valid()).Retention; got != 48*time.Hour {
			t.Errorf("got %v", got)
		}
	})
}

func TestClose_LeavesTheApplicationsOwnClientOpen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	theirs := server.Client()
	if err := newClient(t, theirs).Close(); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the application's client: %v", err)
	}
	ours, err := NewClient(ClientConfig{RedisURL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ours.Enqueue(t.Context(), valid()); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestEnqueue_AnArchivedTaskAtOnceFromManyIsMendedByOne(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, err := NewClient(ClientConfig{Redis: rdb})
		if err != nil {
			t.Fatal(err)
		}
		s := Session{Token: "archived", Method: SmartID}
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := asynq.NewInspectorFromRedisClient(rdb).ArchiveTask(queue.Follow, s.ID()); err != nil {
			t.Fatal(err)
		}
		var mended atomic.Int32
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				switch err := client.Enqueue(t.Context(), s); {
				case err == nil:
					mended.Add(1)
				case !errors.Is(err, ErrDuplicate):
					t.Error(err)
				}
			})
		}
		callers.Wait()
		if mended.Load() != 1 {
			t.Errorf("%d callers were told that the session is in anew", mended.Load())
		}
	})
}

// A worker archives a task that somebody changed in Redis, and would archive it again.
func TestEnqueue_TakesThePlaceOfAnArchivedTaskThatSaysSomethingElse(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		client, s, inspector := newClient(t, rdb), valid(), asynq.NewInspectorFromRedisClient(rdb)
		changed := asynq.NewTask(queue.TypeFollow, []byte(`{"v":1,"token":"other","method":"smart_id","account":"default","retention_s":3600}`),
			asynq.Queue(queue.Follow), asynq.TaskID(s.ID()))
		if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(changed); err != nil {
			t.Fatal(err)
		}
		if err := inspector.ArchiveTask(queue.Follow, s.ID()); err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		info := state(t, rdb, s)
		got, err := queue.Decode(info.Payload)
		if err != nil || !same(got, s, DefaultRetention) || info.State != asynq.TaskStatePending {
			t.Errorf("got %+v, error %v, task %+v", got, err, info)
		}
		if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
			t.Errorf("once it is in: %v", err)
		}
	})
}
