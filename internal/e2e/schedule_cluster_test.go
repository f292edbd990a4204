//go:build unix

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redistest"
)

// cluster is a primary and its replica, and three sentinels that watch them.
type cluster struct {
	t         *testing.T
	nodes     []*redistest.Server
	sentinels []string
}

const primaryName = "identwatch"

func newCluster(t *testing.T, redisArgs ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	c.nodes = append(c.nodes, redistest.Start(t, redisArgs...))
	host, port, _ := net.SplitHostPort(c.nodes[0].Addr)
	c.nodes = append(c.nodes, redistest.Start(t, append([]string{"--replicaof", host + " " + port}, redisArgs...)...))
	eventually(t, time.Minute, "the replica follows", func() bool { return c.info(c.nodes[1])["master_link_status"] == "up" })
	for range 3 {
		c.sentinels = append(c.sentinels, c.startSentinel(host, port))
	}
	eventually(t, time.Minute, "the sentinels know each other and the replica", func() bool {
		for _, s := range c.sentinels {
			known, err := c.ask(s, "SENTINEL", "MASTER", primaryName).Result()
			if text := fmt.Sprint(known); err != nil || !strings.Contains(text, "num-slaves:1") || !strings.Contains(text, "num-other-sentinels:2") {
				return false
			}
		}
		return true
	})
	return c
}

func (c *cluster) startSentinel(host, port string) string {
	c.t.Helper()
	dir, addr := c.t.TempDir(), freeport.Addr(c.t)
	_, own, _ := net.SplitHostPort(addr)
	config := fmt.Sprintf("bind 127.0.0.1\nport %[1]s\ndir %[2]s\nlogfile %[2]s/log\n"+
		"sentinel monitor %[3]s %[4]s %[5]s 2\nsentinel down-after-milliseconds %[3]s 1000\n"+
		"sentinel failover-timeout %[3]s 4000\n", own, dir, primaryName, host, port)
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command("redis-server", file, "--sentinel")
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(c.t, time.Minute, "a sentinel answers", func() bool { return c.ask(addr, "PING").Err() == nil })
	return addr
}

// ask makes one call over a connection of its own.
func (c *cluster) ask(addr string, args ...any) *redis.Cmd {
	one := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second})
	defer one.Close()
	return one.Do(context.Background(), args...)
}

func (c *cluster) info(node *redistest.Server) map[string]string {
	text, _ := c.ask(node.Addr, "INFO").Text()
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	return info
}

func (c *cluster) url() string {
	return "redis-sentinel://" + strings.Join(c.sentinels, ",") + "/0?master=" + primaryName
}

// client reaches whichever node is the primary.
func (c *cluster) client() *redis.Client {
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: primaryName, SentinelAddrs: c.sentinels})
	c.t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// primary is the node that most sentinels take for it.
func (c *cluster) primary() *redistest.Server {
	votes := make(map[string]int)
	for _, s := range c.sentinels {
		addr, err := c.ask(s, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", primaryName).StringSlice()
		if err == nil && len(addr) == 2 {
			votes[net.JoinHostPort(addr[0], addr[1])]++
		}
	}
	for _, node := range c.nodes {
		if votes[node.Addr] >= 2 {
			return node
		}
	}
	return nil
}

// inStep reports whether the other node is a replica that follows a primary.
func (c *cluster) inStep(primary *redistest.Server) bool {
	return !slices.ContainsFunc(c.nodes, func(node *redistest.Server) bool {
		return node != primary && c.info(node)["master_link_status"] != "up"
	})
}

// failOver takes the primary away until Sentinel has made the replica the
// primary, and then brings it back. Where it is suspended, it wakes up as a primary
// that takes writes, until Sentinel makes it a replica, and loses them.
func (s *stage) failOver(f planned, dice *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	// A failover to a replica that is not in step loses what Redis never promised to
	// keep.
	old := s.cluster.primary()
	if time.Since(s.begun) > scheduleLength || old == nil || !s.cluster.inStep(old) {
		s.describe(f, "left out: the replica is not ready for it")
		return
	}
	s.count("failovers")
	away := s.note(redisAway, "")
	back := s.takeAway(f, old, dice.IntN(2) == 0)
	s.lostSince(away.from.Add(-time.Second), nil) // what was not replicated yet
	if !happens(time.Minute, func() bool { p := s.cluster.primary(); return p != nil && p != old }) {
		s.t.Error("Sentinel has not failed over")
	}
	s.say("Sentinel has failed over")
	pass(switchTime)
	s.over(away)
	pass(max(0, f.lasts-time.Since(away.from)))
	back()
	woken := time.Now()
	if !happens(time.Minute, func() bool {
		info := s.cluster.info(old)
		return info["role"] == "slave" && info["master_link_status"] == "up"
	}) {
		s.t.Error("the old primary is no replica")
	}
	s.lostSince(woken, nil)
	s.say("%s %v is over", f.kind.name, f.on)
}

// switchTime is what a client may need to find the new primary: it waits for the
// old one for three seconds.
const switchTime = 4 * time.Second

// takeAway kills a node or suspends it, and returns what brings it back.
func (s *stage) takeAway(f planned, node *redistest.Server, kill bool) (back func()) {
	if kill {
		s.describe(f, "kill -9 of %s", node.Addr)
		node.Kill()
		return node.Restart
	}
	s.describe(f, "SIGSTOP of %s", node.Addr)
	pid, err := strconv.Atoi(s.cluster.info(node)["process_id"])
	if err != nil {
		s.t.Error(err)
		return func() {}
	}
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	return func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
}
