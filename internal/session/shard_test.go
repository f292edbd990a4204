package session

import (
	"fmt"
	"strings"
	"testing"
)

// hashTag is the part of a key that a Redis Cluster hashes:
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
func hashTag(key string) string {
	_, after, found := strings.Cut(key, "{")
	tag, _, closed := strings.Cut(after, "}")
	if !found || !closed || tag == "" {
		return key
	}
	return tag
}

func TestShards_OneHasTheNamesOfOlderReleases(t *testing.T) {
	t.Parallel()
	for _, shards := range []Shards{{}, mustShards(t, 1)} {
		only := shards.Of("default:a")
		if shards.Count() != 1 || only != shards.All()[0] || only.Number() != 0 || only.Key("default:a") != "identwatch:default:a" || only.Queue("identwatch-follow") != "identwatch-follow" {
			t.Errorf("%+v: %+v, %s, %s", shards, only, only.Key("default:a"), only.Queue("identwatch-follow"))
		}
	}
}

func mustShards(t *testing.T, n int) Shards {
	t.Helper()
	shards, err := NewShards(n)
	if err != nil {
		t.Fatal(err)
	}
	return shards
}

// All keys of a shard have one hash tag, and no two shards have the same.
func TestShards_EachHasOneHashTag(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for n, shard := range mustShards(t, MaxShards).All() {
		tag := fmt.Sprint("identwatch-", n)
		if shard.Number() != n || seen[hashTag(shard.Key("x"))] {
			t.Errorf("shard %d: %+v", n, shard)
		}
		seen[hashTag(shard.Key("x"))] = true
		for _, queue := range []string{"identwatch-follow", "identwatch-deliver", "identwatch-remove"} {
			name := shard.Queue(queue)
			// as asynq makes a key
			for _, key := range []string{shard.Key("default:a"), shard.Key("given-up"), "asynq:{" + name + "}:pending", "asynq:{" + name + "}:t:default:a"} {
				if hashTag(key) != tag {
					t.Errorf("the hash tag of %s is %s", key, hashTag(key))
				}
			}
			if base, number := SplitQueue(name); base != queue || number != n {
				t.Errorf("%s is %s of shard %d", name, base, number)
			}
		}
	}
	for _, name := range []string{"identwatch-follow", "other", "identwatch-x}:follow", "}:", ""} {
		if base, number := SplitQueue(name); base != name || number != 0 {
			t.Errorf("%s is %s of shard %d", name, base, number)
		}
	}
}

// The numbers are part of what is in Redis: they never change.
func TestShards_ASessionKeepsItsShard(t *testing.T) {
	t.Parallel()
	eight := mustShards(t, 8)
	for id, want := range map[string]int{"default:a": 7, "default:b": 2, "shop:a": 0, "": 5} {
		if got := eight.Of(id).Number(); got != want {
			t.Errorf("%q is in shard %d, want %d", id, got, want)
		}
	}
	counts := make([]int, 8)
	for i := range 80_000 {
		counts[eight.Of(fmt.Sprintf("default:tok-%08x", i)).Number()]++
	}
	for n, count := range counts {
		if count < 9_000 || count > 11_000 {
			t.Errorf("shard %d has %d of 80,000 sessions", n, count)
		}
	}
}

func TestNewShards_HasBounds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, MaxShards + 1} {
		if _, err := NewShards(n); err == nil {
			t.Errorf("%d shards", n)
		}
	}
}
