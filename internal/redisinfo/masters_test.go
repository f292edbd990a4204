package redisinfo

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestReadAll_OfOneRedis(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t, "--appendonly", "yes").Client()
	states, err := ReadAll(t.Context(), rdb)
	if err != nil || len(states) != 1 || states[0].Addr != "" || states[0].Client != rdb || states[0].Info.Version() == "" {
		t.Fatalf("got %+v, %v", states, err)
	}
	if flaws, err := Check(rdb, states); err != nil || len(flaws) != 0 {
		t.Errorf("got %v, %v", flaws, err)
	}
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer gone.Close()
	if states, err := ReadAll(t.Context(), gone); err == nil || states != nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %+v, %v", states, err)
	}
}

func TestReadAll_AsksEachMasterOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0, "--appendonly", "yes")
	rdb := cluster.Client()
	odd := cluster.Nodes[1]
	if err := odd.Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err(); err != nil {
		t.Fatal(err)
	}
	states, err := ReadAll(t.Context(), rdb)
	if err != nil || len(states) != 3 {
		t.Fatalf("got %+v, %v", states, err)
	}
	flaws, err := Check(rdb, states)
	if err != nil || len(flaws) != 1 || !strings.HasSuffix(flaws[0].Problem, "allkeys-lru, so a full Redis silently loses sessions (1 of 3 masters: "+odd.Addr+")") {
		t.Errorf("one flaw of one master: %v, %v", flaws, err)
	}
	for _, node := range cluster.Nodes {
		if err := node.Client().ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if states, err = ReadAll(t.Context(), rdb); err != nil {
		t.Fatal(err)
	}
	if flaws, err = Check(rdb, states); err != nil || len(flaws) != 1 || strings.Contains(flaws[0].Problem, "masters") {
		t.Errorf("the same flaw of all masters: %v, %v", flaws, err)
	}

	odd.Kill()
	states, err = ReadAll(t.Context(), rdb)
	if err != nil || len(states) != 3 {
		t.Fatalf("with one master down: %+v, %v", states, err)
	}
	for _, s := range states {
		if down := s.Addr == odd.Addr; (s.Err != nil) != down || down && !strings.HasPrefix(s.Err.Error(), odd.Addr+": ") || (s.Info == nil) != down {
			t.Errorf("with %s down: %+v", odd.Addr, s)
		}
	}
	for _, node := range cluster.Nodes {
		node.Kill()
	}
	if states, err := ReadAll(t.Context(), rdb); err == nil || states != nil || !strings.Contains(err.Error(), odd.Addr) {
		t.Errorf("with all masters down: %+v, %v", states, err)
	}
}

// A master that is silent leaves the others time to be asked.
func TestReadAll_DoesNotWaitForASilentMaster(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	well := redistest.Start(t)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, ClusterSlots: twoMasters(silent.Addr().String(), well.Addr)})
	defer rdb.Close()
	states, err := ReadAll(t.Context(), rdb)
	if err != nil || len(states) != 2 {
		t.Fatalf("got %+v, %v", states, err)
	}
	for _, s := range states {
		if (s.Err == nil) != strings.HasSuffix(well.Addr, s.Addr) {
			t.Errorf("got %+v", s)
		}
	}
}

func TestMasters_SayWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, server := range map[string]*redistest.Server{
		"use redis:// in REDIS_URL":     redistest.Start(t),
		"the cluster has no master yet": redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Port(t)),
	} {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}})
		defer rdb.Close()
		if _, err := ReadAll(t.Context(), rdb); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// twoMasters is a cluster of servers that need not be in cluster mode. go-redis takes
// the host out of their addresses.
func twoMasters(a, b string) func(context.Context) ([]redis.ClusterSlot, error) {
	return func(context.Context) ([]redis.ClusterSlot, error) {
		return []redis.ClusterSlot{
			{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: a}}},
			{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: b}}},
		}, nil
	}
}

func TestPing_OneMasterIsEnough(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := cluster.Client()
	for i, node := range cluster.Nodes {
		if err := Ping(t.Context(), rdb); err != nil {
			t.Errorf("with %d of 3 masters down: %v", i, err)
		}
		node.Kill()
	}
	if Ping(t.Context(), rdb) == nil {
		t.Error("no master is up, and one answers")
	}
	one := redistest.Start(t)
	plain := one.Client()
	if err := Ping(t.Context(), plain); err != nil {
		t.Error(err)
	}
	one.Kill()
	if Ping(t.Context(), plain) == nil {
		t.Error("a Redis that is down answers")
	}
}
