package e2e

import (
	"net/http"
	"testing"
	"time"
)

func TestServe_RedisRestart(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"always", "everysec"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			redisRestart(t, fsync)
		})
	}
}

// redisRestart kills Redis amidst 100 sessions, twice. With appendfsync always
// that may not be seen from outside but for the pause. With everysec Redis may
// lose its last seconds, and what it lost is told again under the same id.
func redisRestart(t *testing.T, fsync string) {
	t.Helper()
	w := newWorld(t, "--appendonly", "yes", "--appendfsync", fsync)
	w.serve()
	w.serve()
	all := w.begin("restart", 100, confirms(time.Second, 10*time.Second))
	w.enqueue(all)
	var killed []time.Time
	for range 2 {
		pass(3 * time.Second)
		killed = append(killed, time.Now())
		w.redis.Kill()
		pass(time.Second)
		w.redis.Restart()
	}
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, func(s story, f fault) bool {
		if fsync == "always" || f != deliveredMore && f != otherBody && f != removedMore {
			return false
		}
		for _, at := range killed {
			if lost := at.Sub(s.posts[0].ended); lost > -noteTime && lost < 2*time.Second {
				t.Logf("%s: %s: Redis lost what was noted %v before it died", s.token, f, lost)
				return true
			}
		}
		return false
	})
}

func TestServe_RedisDownAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redis.Kill()
	p := w.prepare()
	p.start()
	if got := p.probe("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz without Redis: %d, want 200", got)
	}
	if got := p.probe("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz without Redis: %d, want 503", got)
	}
	w.redis.Restart()
	begun := time.Now()
	p.awaitReady()
	t.Logf("ready %v after Redis", time.Since(begun))
	all := w.begin("first", 10, confirms(0, time.Second))
	w.enqueue(all)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
}
