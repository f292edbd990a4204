package tasks

import (
	"errors"
	"strings"
	"testing"
)

// FuzzOpenRedis: no URL makes it panic, and its only error is the same for all,
// so that no password is in it.
func FuzzOpenRedis(f *testing.F) {
	for _, seed := range []string{
		"redis://localhost", "redis://user:p%40ss@redis.example:6379/1?pool_size=7", "rediss://:p@[2001:db8::1]:6379",
		"redis-socket://user:pass@/run/redis.sock?db=3", "redis-sentinel://u:p@h1:26379,h2,[::1]/0?master=m&sentinel_password=x",
		"redis://h?pool_size=-1", "redis://h?pool_size=10001", "redis-sentinel://u:p?w@h1/?master=m", "redis-sentinel://u:p/w@h1/?master=m",
		"redis-socket://%zz", "redis://h:port", "redis-sentinel://@,?master=%", "redis-sentinel://a@b@c?master=m", "redis://h?db=-1",
		"redis-cluster://u:p%40ss@h1:7000,h2,[::1]", "rediss-cluster://h1/", "redis-cluster://u:1#x@h", "redis-cluster://h1/0?pool_size=1", "redis-cluster://@,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.Contains(raw, "min_idle_conns") || strings.Contains(raw, "%") && strings.Contains(raw, "idle") {
			t.Skip("these connections would be dialled")
		}
		rdb, err := OpenRedis(raw)
		if err == nil {
			if err := rdb.Close(); err != nil {
				t.Fatalf("%q: closing: %v", raw, err)
			}
			return
		}
		if !errors.Is(err, errRedisURL) || err.Error() != errRedisURL.Error() {
			t.Fatalf("%q: the error is %v", raw, err)
		}
		if rdb != nil {
			t.Fatalf("%q: a client and an error", raw)
		}
	})
}
