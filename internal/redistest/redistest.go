// Package redistest gives each test a Redis of its own: a real redis-server
// from the PATH on a free port, a real cluster of them, or the embedded one that
// `identwatch dev` ships. It is imported by tests alone.
//
// Read redistest.go (one server), cluster.go (many), then move.go (a slot that moves)
// and member.go (what nodes know of each other).
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
)

// Server is a real redis-server.
type Server struct {
	Addr string // host:port
	Dir  string // where it keeps its files

	tb     testing.TB
	args   []string
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// Available reports whether redis-server is on the PATH. In CI it must be.
func Available(tb testing.TB) bool {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return true
	}
	if os.Getenv("CI") != "" {
		tb.Fatal("redis-server is not on the PATH, and in CI the real one is required")
	}
	return false
}

// Start starts a redis-server that lasts as long as the test. The arguments are
// added to its command line. Without a redis-server the test is skipped.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if !Available(tb) {
		tb.Skip("redis-server is not on the PATH; this test needs the real one")
	}
	s := &Server{Dir: tb.TempDir(), tb: tb, args: args}
	tb.Cleanup(s.Kill)
	s.Addr = freeport.Addr(tb)
	s.launch()
	return s
}

// Restart starts the server, which Kill or Stop ended, on its address and files.
func (s *Server) Restart() {
	s.tb.Helper()
	s.launch()
}

// launch starts the server and returns once it answers.
func (s *Server) launch() {
	s.tb.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{
		"--bind", host, "--port", port, "--dir", s.Dir, "--save", "", "--appendonly", "no",
		"--logfile", filepath.Join(s.Dir, "redis.log"), "--daemonize", "no",
	}, s.args...)
	cmd := exec.Command("redis-server", args...) //nolint:gosec,noctx // a test's own server, which its cleanup ends
	if err := cmd.Start(); err != nil {
		s.tb.Fatalf("starting redis-server: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	s.await(exited)
}

// await returns once the server answers.
func (s *Server) await(exited <-chan struct{}) {
	s.tb.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer rdb.Close() //nolint:errcheck // a test's own client
	deadline := time.Now().Add(time.Minute)
	for {
		err := rdb.Ping(context.Background()).Err()
		select {
		case <-exited:
			s.tb.Fatalf("redis-server ended at once; its log:\n%s", s.log())
		case <-time.After(5 * time.Millisecond):
		}
		// An answer that is an error is an answer: the server may want a password.
		if err == nil || strings.HasPrefix(err.Error(), "NOAUTH") {
			return
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("redis-server does not answer: %v; its log:\n%s", err, s.log())
		}
	}
}

func (s *Server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	return string(text)
}

// Kill ends the server as kill -9 does. Its port stays its own: whoever connects is
// refused, and no other test gets it.
func (s *Server) Kill() { s.end(os.Kill) }

// Suspend has the server hang: the system accepts connections for it, and nothing is
// answered until Resume.
func (s *Server) Suspend() { s.signal(syscall.SIGSTOP) }

// Resume has a server go on that hangs.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Stop ends the server as an operator does.
func (s *Server) Stop() { s.end(os.Interrupt) }

func (s *Server) end(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	<-s.exited
	s.cmd = nil
}

// URL names the server as REDIS_URL does.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Client returns a client that is closed with the test.
func (s *Server) Client() *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr})
	s.tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Embedded returns a client of an embedded Redis over in-memory connections, so
// that it works within a testing/synctest bubble too, where the caller closes both.
// Those connections hold nothing: a pipeline whose answers are over 4 KiB hangs.
func Embedded() (*redis.Client, *miniredis.Miniredis) {
	m := miniredis.NewMiniRedis()
	return redis.NewClient(&redis.Options{
		Addr:   "127.0.0.1:1", // never dialled; an address needs no look-up
		Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
	}), m
}

// Each runs a test on a real redis-server and on the embedded one.
func Each(t *testing.T, test func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, Start(t).Client())
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		rdb, m := Embedded()
		t.Cleanup(func() { _ = rdb.Close(); m.Close() })
		test(t, rdb)
	})
}

// Dump returns everything that Redis, or each master of a cluster, holds, as redis-cli
// would show it, for a search of what must not be there.
func Dump(ctx context.Context, rdb redis.UniversalClient) (string, error) {
	cluster, isCluster := rdb.(*redis.ClusterClient)
	if !isCluster {
		return dumpNode(ctx, rdb)
	}
	var mu sync.Mutex
	var all strings.Builder
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		text, err := dumpNode(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		all.WriteString(text)
		return err
	})
	return all.String(), err
}

func dumpNode(ctx context.Context, rdb redis.UniversalClient) (string, error) {
	var b strings.Builder
	keys := rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		value, err := dumpKey(ctx, rdb, key)
		if err != nil {
			return "", fmt.Errorf("reading a key: %w", err)
		}
		fmt.Fprintf(&b, "%s = %v\n", key, value)
	}
	return b.String(), keys.Err()
}

func dumpKey(ctx context.Context, rdb redis.UniversalClient, key string) (any, error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "string":
		value, err := rdb.Get(ctx, key).Result()
		if err == redis.Nil { //nolint:errorlint // go-redis returns it bare
			return nil, nil
		}
		return value, err
	case "hash":
		return rdb.HGetAll(ctx, key).Result()
	case "list":
		return rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		return rdb.SMembers(ctx, key).Result()
	case "zset":
		return rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	}
	return nil, nil
}
