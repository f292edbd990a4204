package outcome

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	sess "github.com/identwatch/identwatch/internal/session"
)

// On a Redis Cluster a script that names or touches a key of another node is refused. So
// every script runs on one, and no story may depend on where its session lives.
func TestScripts_StayInTheirSlot(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := cluster.Client()
	ran := &scriptsRun{shas: map[string]bool{}}
	rdb.AddHook(ran)
	ring, err := NewKeyring(testKey)
	if err != nil {
		t.Fatal(err)
	}
	eight, err := sess.NewShards(8)
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(Config{Redis: rdb, Shards: eight, Keyring: ring, SessionTimeout: time.Minute, DeliveryWindow: time.Hour, RedeliveryWindow: time.Hour})
	var ids []string
	for i := range 24 {
		session := Session{ID: fmt.Sprint("default:tok-", i), Retention: time.Hour}
		ids = append(ids, session.ID)
		liveOnCluster(t, s, session)
	}
	checkMany(t, s, ids)
	for name := range scriptsByName(t) {
		script := redis.NewScript(source(name))
		if slices.Contains(found(`recordScript\("(\w+)"\)`, readFile(t, "scripts.go")), name) {
			script = recordScript(name)
		}
		if name != "lib" && !ran.has(script.Hash()) {
			t.Errorf("%s.lua did not run", name)
		}
	}
}

// liveOnCluster goes through all that may happen to a session.
func liveOnCluster(t *testing.T, s *Store, session Session) {
	t.Helper()
	ctx := t.Context()
	told := Evidence{Hash: s.Shard(session).Key("evidence"), Field: "result", Keys: []string{s.Shard(session).Key("other")}}
	r, err := s.Follow(ctx, session, "w1", told)
	if err != nil || r.State != Following {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := s.NoteTrouble(ctx, session, "w1", "HTTP 502"); err != nil {
		t.Fatal(err)
	}
	must(t)(s.NoteUnusable(ctx, session, "w1", "why", []byte("answer")))
	must(t)(s.Seal(ctx, session, result, "w1.1", time.Second))
	must(t)(s.Fail(ctx, session, "w1.1", "HTTP 503"))
	must(t)(s.HandOver(ctx, session, "w1.1", "HTTP 503"))
	must(t)(s.Claim(ctx, session, "w2.1", time.Second))
	must(t)(s.Reseal(ctx, session, result, "w2.1"))
	if _, err := s.Keep(ctx, session); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Read(ctx, session); err != nil || r.State != Handed {
		t.Fatalf("%+v, %v", r, err)
	}
	must(t)(s.GiveUp(ctx, session, "w2.1", "the window is over", []byte("{}")))
	must(t)(s.Redeliver(ctx, session))
	must(t)(s.Deliver(ctx, session, result))
	if n, err := s.Replicas(ctx, session); n != 0 || err != nil {
		t.Errorf("%d replicas, %v", n, err)
	}
	if _, err := s.Removing(ctx, session, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FailRemoval(ctx, session, FailedRemoval{Why: "HTTP 503", Sent: true}); err != nil {
		t.Fatal(err)
	}
	must(t)(s.EndRemoval(ctx, session, Removed))
	if _, err := s.Settle(ctx, session); err != nil {
		t.Fatal(err)
	}
	cancelled := Session{ID: session.ID + "-cancelled", Retention: time.Hour}
	must(t)(s.Cancel(ctx, cancelled, RemovalHanded))
	if err := s.Forget(ctx, cancelled, "w1"); err != nil {
		t.Fatal(err)
	}
}

// checkMany asks about sessions of all shards at once.
func checkMany(t *testing.T, s *Store, ids []string) {
	t.Helper()
	ctx := t.Context()
	entries, err := s.Peek(ctx, ids...)
	for i, entry := range entries {
		if entry.ID != ids[i] || entry.State != Delivered {
			t.Errorf("%+v, want %s", entry, ids[i])
		}
	}
	if err != nil || len(entries) != len(ids) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	unknown, err := s.Unrecorded(ctx, append([]string{"default:unknown"}, ids...))
	if err != nil || !slices.Equal(unknown, []string{"default:unknown"}) {
		t.Errorf("%v, %v", unknown, err)
	}
	others, err := s.HeldByOthers(ctx, ids, "w9")
	if err != nil || len(others) != len(ids) {
		t.Errorf("%d are held by others, %v", len(others), err)
	}
	listed := 0
	for _, err := range s.List(ctx, "default") {
		if err != nil {
			t.Fatal(err)
		}
		listed++
	}
	if listed != 2*len(ids) { // each, and a cancelled one
		t.Errorf("%d are listed of %d", listed, 2*len(ids))
	}
	if _, err := s.GivenUp(ctx, time.Time{}); err != nil {
		t.Error(err)
	}
	if err := s.PruneGivenUp(ctx, ids); err != nil {
		t.Error(err)
	}
}

// scriptsRun are the scripts that a client ran to their end.
type scriptsRun struct {
	mu   sync.Mutex
	shas map[string]bool
}

func (r *scriptsRun) has(sha string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shas[sha]
}

func (r *scriptsRun) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *scriptsRun) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && fmt.Sprint(args[0]) == "evalsha" {
			r.mu.Lock()
			r.shas[fmt.Sprint(args[1])] = true
			r.mu.Unlock()
		}
		return err
	}
}

func (r *scriptsRun) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
