package shards

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

func of(t *testing.T, n int) session.Shards {
	t.Helper()
	shards, err := session.NewShards(n)
	if err != nil {
		t.Fatal(err)
	}
	return shards
}

func TestAgree_TheFirstDecides(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for range 2 {
			if err := Agree(t.Context(), rdb, of(t, 8)); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{1, 4, 16} {
			if err := Agree(t.Context(), rdb, of(t, n)); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), `has "8"`) {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}

func TestAgree_OfTwoAtOnceOneDecides(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	for range 20 {
		rdb.FlushAll(t.Context())
		var both sync.WaitGroup
		errs := make([]error, 2)
		for i, n := range []int{2, 4} {
			both.Go(func() { errs[i] = Agree(t.Context(), rdb, of(t, n)) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%v", errs)
		}
	}
}

// A Redis of a release that knew no shards has its queues, and no number.
func TestAgree_AnOlderRedisHasOneShard(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		rdb.SAdd(t.Context(), "asynq:queues", "identwatch-follow")
		if err := Agree(t.Context(), rdb, of(t, 8)); !errors.Is(err, ErrOther) || rdb.Exists(t.Context(), key).Val() != 0 {
			t.Errorf("eight: %v", err)
		}
		if err := Agree(t.Context(), rdb, of(t, 1)); err != nil {
			t.Error(err)
		}
	})
}

func TestAgree_TellsTroubleFromAnotherNumber(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	if err := Agree(t.Context(), rdb, of(t, 1)); err == nil || errors.Is(err, ErrOther) {
		t.Error(err)
	}
}

func TestCheck_ChangesNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		check := func(when string, wants map[int]bool) {
			t.Helper()
			for n, isRight := range wants {
				if err := Check(t.Context(), rdb, of(t, n)); (err == nil) != isRight || err != nil && !errors.Is(err, ErrOther) {
					t.Errorf("%s, %d shards: %v", when, n, err)
				}
			}
		}
		check("nobody has begun it", map[int]bool{1: true, 8: true})
		rdb.SAdd(t.Context(), "asynq:queues", "identwatch-follow")
		check("an older release has begun it", map[int]bool{1: true, 8: false})
		if rdb.Exists(t.Context(), key).Val() != 0 {
			t.Error("it wrote a number")
		}
		rdb.Set(t.Context(), key, 8, 0)
		check("begun with 8", map[int]bool{1: false, 8: true, 4: false})
	})
}

func TestNew_HasADefaultForEachRedis(t *testing.T) {
	t.Parallel()
	plain := redis.NewClient(&redis.Options{})
	defer plain.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	for _, row := range []struct {
		n    int
		rdb  redis.UniversalClient
		want int
	}{{0, plain, 1}, {0, cluster, OnCluster}, {3, plain, 3}, {3, cluster, 3}} {
		if got, err := New(row.n, row.rdb); err != nil || got.Count() != row.want {
			t.Errorf("%+v: %d, %v", row, got.Count(), err)
		}
	}
	if _, err := New(-1, plain); err == nil {
		t.Error("-1 shards")
	}
}
