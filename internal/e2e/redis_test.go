//go:build unix

package e2e

import (
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// killRedis kills Redis and returns what starts it again. Meanwhile its port is
// refused to those who connect, and to the other tests that look for a free one.
func (w *world) killRedis() (restart func()) {
	w.t.Helper()
	w.redis.Kill()
	free := keepPort(w.t, w.redis.Addr)
	return func() {
		w.t.Helper()
		free()
		w.redis.Restart()
	}
}

// keepPort refuses a port to those who connect, and to all who look for a free
// one, until the function that it returns is called.
func keepPort(t *testing.T, address string) (free func()) {
	t.Helper()
	free, err := holdPort(address)
	if err != nil {
		t.Fatalf("keeping the port %s: %v", address, err)
	}
	return free
}

func holdPort(address string) (free func(), err error) {
	addr, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	_ = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}); err != nil {
		_ = syscall.Close(socket)
		return nil, err
	}
	return func() { _ = syscall.Close(socket) }, nil
}

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
		restart := w.killRedis()
		pass(time.Second)
		restart()
	}
	w.awaitRemoved(all, 60*time.Second)
	w.awaitQuiet(30 * time.Second)
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
	restart := w.killRedis()
	p := w.prepare()
	p.start()
	if got := p.probe("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz without Redis: %d, want 200", got)
	}
	if got := p.probe("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz without Redis: %d, want 503", got)
	}
	restart()
	begun := time.Now()
	p.awaitReady()
	t.Logf("ready %v after Redis", time.Since(begun))
	all := w.begin("first", 10, confirms(0, time.Second))
	w.enqueue(all)
	w.awaitRemoved(all, 20*time.Second)
	w.awaitQuiet(10 * time.Second)
	w.check(all, nil)
}
