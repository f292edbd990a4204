package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes to standard error what it returns anyway
	m.Run()
}

func TestStartCluster_SpreadsKeysOverMasters(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1)
	rdb := c.Client()
	for i := range 100 {
		if err := rdb.Set(t.Context(), fmt.Sprint("key", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if masters := c.Masters(); !slices.Equal(masters, c.Nodes[:3]) {
		t.Errorf("the masters are %v", masters)
	}
	for i, node := range c.Nodes {
		keys, err := node.Client().DBSize(t.Context()).Result()
		if err != nil || i < 3 && keys < 10 {
			t.Errorf("node %d has %d keys, %v", i, keys, err)
		}
	}
	at := c.MasterOf("{a}b").Client()
	if err := at.Set(t.Context(), "{a}b", "x", 0).Err(); err != nil {
		t.Errorf("its master refuses a key: %v", err)
	}
	if want := "redis-cluster://" + c.Nodes[0].Addr + ","; !strings.HasPrefix(c.URL(), want) {
		t.Errorf("the URL is %s", c.URL())
	}
}

func TestCluster_FailsOver(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1, "--appendonly", "yes")
	rdb := c.Client()
	old := c.MasterOf("key")
	conn := old.Client().Conn() // WAIT speaks of what its own connection wrote
	defer conn.Close()
	if err := conn.Set(t.Context(), "key", "before", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Wait(t.Context(), 1, time.Minute).Result(); n != 1 || err != nil {
		t.Fatalf("%d replicas have it, %v", n, err)
	}
	old.Kill()
	if c.MasterOf("key") == old {
		t.Error("a node that was killed is a master")
	}
	c.AwaitFailover(old)
	now := c.MasterOf("key")
	if now == nil || !slices.Contains(c.Nodes[3:], now) {
		t.Fatalf("the master is %v", now)
	}
	if got := read(t, rdb, "key"); got != "before" {
		t.Errorf("got %q", got)
	}
	write(t, rdb, "key", "after")
	old.Restart()
	c.AwaitReady()
	if c.MasterOf("key") != now || len(c.Masters()) != 3 {
		t.Errorf("the masters are %v", c.Masters())
	}
	if got := read(t, rdb, "key"); got != "after" {
		t.Errorf("got %q", got)
	}
}

func TestCluster_MovesASlotWhileItIsUsed(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 0)
	rdb := c.Client()
	for i := range 250 {
		write(t, rdb, fmt.Sprint("{a}", i), "x")
	}
	from := c.MasterOf("{a}0")
	to := c.Nodes[(slices.Index(c.Nodes, from)+1)%3]
	move := c.BeginMove("{a}0", to)
	if n := move.Keys(50); n != 50 {
		t.Errorf("%d keys were moved", n)
	}
	write(t, rdb, "{a}new", "x")
	asked := func(args ...any) string {
		_, err := from.ask(args...)
		return fmt.Sprint(err)
	}
	if err := asked("GET", "{a}new"); !strings.HasPrefix(err, "ASK ") || c.MasterOf("{a}0") != from {
		t.Errorf("in the middle: %s", err)
	}
	for i := range 250 {
		if got := read(t, rdb, fmt.Sprint("{a}", i)); got != "x" {
			t.Errorf("got %q", got)
		}
	}
	move.Finish()
	if err := asked("GET", "{a}0"); !strings.HasPrefix(err, "MOVED ") || c.MasterOf("{a}0") != to {
		t.Errorf("at the end: %s", err)
	}
	if n, err := to.Client().DBSize(t.Context()).Result(); n < 251 || err != nil {
		t.Errorf("%d keys arrived, %v", n, err)
	}
	c.MoveSlot("{a}0", from)
	if c.MasterOf("{a}new") != from || read(t, rdb, "{a}new") != "x" {
		t.Error("it did not go back")
	}
	c.AwaitReady()
}

func TestDump_HoldsWhatEachMasterHas(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1)
	rdb := c.Client()
	for i := range 30 {
		write(t, rdb, fmt.Sprint("key", i), "x")
	}
	text, err := Dump(t.Context(), rdb)
	if err != nil || strings.Count(text, "\n") != 30 {
		t.Fatalf("%v:\n%s", err, text)
	}
	for i := range 30 {
		if !strings.Contains(text, fmt.Sprintf("key%d = x\n", i)) {
			t.Errorf("lacks key%d", i)
		}
	}
}

// write and read go on while the cluster changes.
func write(t *testing.T, rdb *redis.ClusterClient, key, value string) {
	t.Helper()
	insist(t, func(ctx context.Context) error { return rdb.Set(ctx, key, value, 0).Err() })
}

func read(t *testing.T, rdb *redis.ClusterClient, key string) (value string) {
	t.Helper()
	insist(t, func(ctx context.Context) (err error) {
		value, err = rdb.Get(ctx, key).Result()
		return err
	})
	return value
}

func insist(t *testing.T, call func(context.Context) error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		err := call(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
