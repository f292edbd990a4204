package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// lockedCluster is a cluster that asks for a password, and its client.
func lockedCluster(t *testing.T, args ...string) (*redistest.Cluster, *redis.ClusterClient) {
	t.Helper()
	cluster := redistest.StartCluster(t, 3, 0, args...)
	for _, node := range cluster.Nodes {
		if err := node.Client().ConfigSet(t.Context(), "requirepass", redisPassword).Err(); err != nil {
			t.Fatal(err)
		}
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{cluster.Nodes[0].Addr}, Password: redisPassword, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return cluster, rdb
}

func TestExamine_FindsAClusterWell(t *testing.T) {
	t.Parallel()
	_, rdb := lockedCluster(t, "--appendonly", "yes")
	startWorkers(t, rdb, kinds...)
	checks, text := newPractice(t, rdb).examine()
	for name, want := range map[string]string{
		"redis": "cluster with masters: 3, version ", "redis_access": "Redis asks for a password", "clock": "this machine's clock is ", "workers": "1 worker runs",
	} {
		if c := checks[name]; c.Status != OK || !strings.HasPrefix(c.Detail, want) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if !strings.Contains(text, "\n9 ok\n") {
		t.Errorf("the report:\n%s", text)
	}
}

func TestExamine_NamesTheMasterThatIsIll(t *testing.T) {
	t.Parallel()
	cluster, rdb := lockedCluster(t, "--appendonly", "yes")
	odd := cluster.Nodes[1]
	rdb.OnNewNode(func(node *redis.Client) {
		if node.Options().Addr == odd.Addr {
			node.AddHook(offset(-time.Hour))
		}
	})
	own := redis.NewClient(&redis.Options{Addr: odd.Addr, Password: redisPassword})
	defer own.Close()
	for _, set := range [][2]string{{"maxmemory-policy", "allkeys-lru"}, {"requirepass", ""}} {
		if err := own.ConfigSet(t.Context(), set[0], set[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(name string, status Status, parts ...string) {
		t.Helper()
		checks, _ := newPractice(t, rdb).examine()
		for _, part := range parts {
			if c := checks[name]; c.Status != status || !strings.Contains(c.Detail, part) || (c.Advice == "") != (status == OK) {
				t.Errorf("without %q: %+v", part, c)
			}
		}
	}
	expect("redis", Warning, "maxmemory-policy is allkeys-lru", "(1 of 3 masters: "+odd.Addr+")")
	expect("redis_access", Warning, "takes anybody", "(1 of 3 masters: "+odd.Addr+")")
	expect("clock", Failed, "3600.0 s ahead of that of Redis at "+odd.Addr)

	odd.Kill()
	expect("redis", Failed, "1 of 3 masters do not answer: "+odd.Addr+": ", "refused", "the others: cluster with masters: 3, version ")
	expect("redis_access", OK, "Redis asks for a password")
	expect("clock", OK, "this machine's clock is ")
}

func TestExamine_SaysWhichSchemeIsWrong(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{redistest.Start(t).Addr}})
	defer rdb.Close()
	checks, _ := newPractice(t, rdb).examine()
	if c := checks["redis"]; c.Status != Failed || !strings.Contains(c.Detail, "not in cluster mode") || !strings.Contains(c.Advice, "redis://") {
		t.Errorf("%+v", c)
	}
	if c := checks["clock"]; c.Status != Skipped {
		t.Errorf("%+v", c)
	}
}
