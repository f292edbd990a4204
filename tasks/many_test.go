package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// many are n sessions that nothing is wrong with.
func many(n int) []Session {
	sessions := make([]Session, n)
	for i := range sessions {
		sessions[i] = with(func(s *Session) { s.Token = fmt.Sprint("many-", i) })
	}
	return sessions
}

func TestEnqueueMany_SaysWhatCameOfEach(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	client, inspector := newClient(t, rdb), asynq.NewInspectorFromRedisClient(rdb)
	sessions := many(2*batchSize + 3)
	known, archived, changed, invalid, twice := 3, 5, batchSize+1, 7, len(sessions)-1
	for _, at := range []int{known, archived} {
		if err := client.Enqueue(t.Context(), sessions[at]); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Enqueue(t.Context(), with(func(s *Session) { s.Token, s.Reference = sessions[changed].Token, "another" })); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{archived, changed} {
		if err := inspector.ArchiveTask(queue.Follow, sessions[at].ID()); err != nil {
			t.Fatal(err)
		}
	}
	sessions[invalid].Token = "a/b"
	sessions[twice] = sessions[0]
	sessions[twice].Reference = "the later of two"
	results := client.EnqueueMany(t.Context(), sessions)
	for i, err := range results {
		switch i {
		case known, twice:
			if !errors.Is(err, ErrDuplicate) {
				t.Errorf("%d: %v, want a duplicate", i, err)
			}
		case invalid:
			if got := fields(t, err); len(got) != 1 || got[0] != "token" {
				t.Errorf("%d: %v, want an invalid token", i, err)
			}
			continue
		default:
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		want := sessions[i]
		if i == twice {
			want = sessions[0]
		}
		info := state(t, rdb, want)
		if got, err := queue.Decode(info.Payload); err != nil || !same(got, want, DefaultRetention) || info.State != asynq.TaskStatePending {
			t.Fatalf("%d: %+v, %v, the task %+v", i, got, err, info)
		}
	}
	for i, err := range client.EnqueueMany(t.Context(), sessions) {
		if !errors.Is(err, ErrDuplicate) && i != invalid {
			t.Errorf("%d again: %v", i, err)
		}
	}
}

func TestEnqueueMany_OfNone(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	if results := newClient(t, rdb).EnqueueMany(t.Context(), nil); len(results) != 0 {
		t.Errorf("%v", results)
	}
	results := newClient(t, rdb).EnqueueMany(t.Context(), []Session{{Token: "a"}})
	if got := fields(t, results[0]); len(got) != 1 || got[0] != "method" { // Redis is not asked
		t.Errorf("%v", results)
	}
}

// A batch is one round trip, also the first of its kind that Redis sees.
func TestEnqueueMany_SendsABatchAtOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	counted := new(roundTrips)
	rdb.AddHook(counted)
	client := newClient(t, rdb)
	for i, err := range client.EnqueueMany(t.Context(), many(1+2*batchSize)) {
		if err != nil {
			t.Fatal(i, err)
		}
	}
	// GET, SETNX and GET of the number of shards, SADD, the first session twice, because Redis does not know the script, and two batches.
	if counted.single != 4 || counted.pipelines != 4 {
		t.Errorf("%d commands and %d pipelines", counted.single, counted.pipelines)
	}
}

type roundTrips struct{ single, pipelines int }

func (*roundTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		switch cmd.Name() {
		case "hello", "client": // of a new connection
		default:
			r.single++
		}
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); strings.HasPrefix(name, "eval") {
			r.pipelines++
		}
		return next(ctx, cmds)
	}
}

// The answers to a batch are lost: none of its sessions is said to be in, and all are.
func TestEnqueueMany_AfterLostAnswersSaysDuplicate(t *testing.T) {
	t.Parallel()
	for name, retries := range map[string]int{"the caller repeats": -1, "go-redis repeats": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			network := newLossy(t, server.Addr)
			rdb := redis.NewClient(&redis.Options{Addr: network.Addr().String(), MaxRetries: retries})
			defer rdb.Close()
			client, sessions := newClient(t, rdb), many(8) // so few that the network reads them at once
			network.lose.Store(&sessions[4].Token)
			results := client.EnqueueMany(t.Context(), sessions)
			if network.lost.Load() != 1 {
				t.Fatal("no answer was lost")
			}
			for i, err := range results {
				if isDuplicate := errors.Is(err, ErrDuplicate); (err == nil) != (i == 0) || i > 0 && isDuplicate != (retries > 0) {
					t.Errorf("%d: %v", i, err)
				}
			}
			for i, err := range client.EnqueueMany(t.Context(), sessions) {
				if !errors.Is(err, ErrDuplicate) {
					t.Errorf("%d again: %v", i, err)
				}
			}
			info, err := asynq.NewInspectorFromRedisClient(server.Client()).GetQueueInfo(queue.Follow)
			if err != nil || info.Pending != len(sessions) || info.Size != len(sessions) {
				t.Errorf("the queue: %+v, %v", info, err)
			}
		})
	}
}

// Redis fails in the middle: what was enqueued is known, and the rest is not tried.
func TestEnqueueMany_StopsWhenRedisFails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := server.Client()
	full := &fillsUp{rdb: server.Client(), after: 3}
	rdb.AddHook(full)
	client := newClient(t, rdb)
	sessions := many(1 + 4*batchSize)
	results := client.EnqueueMany(t.Context(), sessions)
	in := 0
	for i, err := range results {
		exists := server.Client().Exists(t.Context(), "asynq:{identwatch-follow}:t:"+sessions[i].ID()).Val() == 1
		if exists {
			in++
		}
		if (err == nil) != exists || err != nil && !strings.Contains(err.Error(), "give it more memory") {
			t.Fatalf("%d: %v, is in: %v", i, err, exists)
		}
	}
	if in != 1+batchSize || full.pipelines != 4 {
		t.Errorf("%d are in after %d pipelines", in, full.pipelines)
	}
}

// fillsUp takes Redis's memory away after some pipelines of scripts.
type fillsUp struct {
	roundTrips
	rdb   redis.UniversalClient
	after int
}

func (f *fillsUp) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	counted := f.roundTrips.ProcessPipelineHook(next)
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if f.pipelines == f.after {
			f.rdb.ConfigSet(ctx, "maxmemory", "1")
		}
		return counted(ctx, cmds)
	}
}

func TestEnqueueMany_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, err := range newClient(t, rdb).EnqueueMany(ctx, many(3)) {
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was cancelled") {
			t.Errorf("%d: %v", i, err)
		}
	}
}
