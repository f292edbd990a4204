package redisinfo

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redistest"
)

// check asks a Redis and judges it.
func check(t *testing.T, rdb redis.UniversalClient) ([]Flaw, error) {
	t.Helper()
	info, err := Read(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	return info.Check(rdb)
}

func TestCheck_SaysWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	unsafe, err := check(t, redistest.Start(t, "--maxmemory-policy", "allkeys-lru").Client())
	if err != nil || len(unsafe) != 2 || !strings.Contains(unsafe[0].Problem, "allkeys-lru") || !strings.Contains(unsafe[1].String(), "; set appendonly") {
		t.Errorf("unsafe %q, error %v", unsafe, err)
	}
	unsafe, err = check(t, redistest.Start(t, "--appendonly", "yes").Client())
	if err != nil || len(unsafe) != 0 {
		t.Errorf("unsafe %q, error %v", unsafe, err)
	}
	server := redistest.Start(t, "--appendonly", "yes")
	opts, err := redis.ParseURL("rediss://redis.example/0?skip_verify=true")
	if err != nil {
		t.Fatal(err)
	}
	opts.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) { // instead of TLS, which this Redis does not speak
		return new(net.Dialer).DialContext(ctx, network, server.Addr)
	}
	unverified := redis.NewClient(opts)
	defer unverified.Close()
	unsafe, err = check(t, unverified)
	if err != nil || len(unsafe) != 1 || !strings.Contains(unsafe[0].Problem, "skip_verify") {
		t.Errorf("a Redis whose certificate is not verified: %v, error %v", unsafe, err)
	}
	if _, err := check(t, redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Port(t)).Client()); err == nil || !strings.Contains(err.Error(), "use redis-cluster:// in REDIS_URL") {
		t.Errorf("a cluster: %v", err)
	}
}

func TestRead_OfARedisThatIsNotThere(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	if info, err := Read(t.Context(), rdb); err == nil || info != nil {
		t.Errorf("it says %v", info)
	}
}

func TestCheck_OfOlderAndOtherServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"redis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:slave\r\n": "replica",
		"redis_version:7.2.4\r\naof_enabled:1\r\nrole:master\r\n":                               "",
	} {
		unsafe, err := parse("# Server\r\n" + text).Check(nil)
		has := slices.ContainsFunc(unsafe, func(f Flaw) bool { return strings.Contains(f.Problem, want) })
		if err != nil || has != (want != "") || len(unsafe) > 1 {
			t.Errorf("%q: %q, %v", text, unsafe, err)
		}
	}
	for _, version := range []string{"6.2.14", "", "x", "-7.0"} {
		if _, err := parse("redis_version:" + version).Check(nil); err == nil || !strings.Contains(err.Error(), "needs Redis 7") {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestReplicas_AreNoneIfRedisDoesNotSay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"# Replication\r\nconnected_slaves:2\r\nslave0:ip=1": 2, "connected_slaves:0": 0, "role:master": 0, "connected_slaves:many": 0, "": 0,
	} {
		if got := parse(text).Replicas(); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
