package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute,
		"3d": 72 * time.Hour, "1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestCheckRedisURL_TakesTheSchemesOfRedis(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://localhost", "redis://:p%40ss@localhost:6379/3", "rediss://[2001:db8::1]:6380",
		"redis-socket:///run/redis.sock?db=1", "redis-socket://:pass@/run/redis.sock",
		"redis-sentinel://:pass@a:26379,b:26379,c:26379?master=main", "redis-sentinel://user:pass@h1:26379,h2:26379/0?master=name",
		"rediss-sentinel://a?master=m", "redis-cluster://:pass@a:6379,b", "rediss-cluster://a",
	} {
		if got, err := checkRedisURL(url); err != nil || got != url {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
}
