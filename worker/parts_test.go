package worker

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestCheckRedis_SaysWhatIsUnsafe(t *testing.T) {
	t.Parallel()
	unsafe, err := CheckRedis(t.Context(), redistest.Start(t, "--maxmemory-policy", "allkeys-lru").Client())
	if err != nil || len(unsafe) != 2 || !strings.Contains(unsafe[0], "allkeys-lru") || !strings.Contains(unsafe[1], "appendonly") {
		t.Errorf("unsafe %q, error %v", unsafe, err)
	}
	unsafe, err = CheckRedis(t.Context(), redistest.Start(t, "--appendonly", "yes").Client())
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
	unsafe, err = CheckRedis(t.Context(), unverified)
	if err != nil || len(unsafe) != 1 || !strings.Contains(unsafe[0], "skip_verify") {
		t.Errorf("a Redis whose certificate is not verified: %v, error %v", unsafe, err)
	}
	if _, err := CheckRedis(t.Context(), redistest.Start(t, "--cluster-enabled", "yes").Client()); err == nil || !strings.Contains(err.Error(), "cluster") {
		t.Errorf("a cluster: %v", err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	if _, err := CheckRedis(t.Context(), rdb); err == nil {
		t.Error("a Redis that is not there is fit")
	}
}

func TestUnsafeSettings_OfOlderAndOtherServers(t *testing.T) {
	t.Parallel()
	info := parseInfo("# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:slave\r\n")
	if unsafe := unsafeSettings(info); len(unsafe) != 1 || !strings.Contains(unsafe[0], "replica") {
		t.Errorf("a replica: %q", unsafe)
	}
}
