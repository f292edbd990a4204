package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/shards"
)

func spread(t *testing.T, n int) session.Shards {
	t.Helper()
	layout, err := session.NewShards(n)
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// queuesOf are the queues of all shards.
func queuesOf(layout session.Shards) (all []string) {
	return staff{shards: layout}.all(func(string) bool { return true })
}

// sharded examines a Redis with shards.
func sharded(t *testing.T, rdb redis.UniversalClient, layout session.Shards) (examine func(name string) Check) {
	t.Helper()
	p := newPractice(t, rdb)
	p.opts.Shards = layout
	return func(name string) Check {
		t.Helper()
		checks, _ := p.examine()
		return checks[name]
	}
}

func expectCheck(t *testing.T, c Check, status Status, detail string) {
	t.Helper()
	if c.Status != status || !strings.Contains(c.Detail, detail) || (c.Advice == "") != (status == OK) {
		t.Errorf("want %s, %q: got %+v", status, detail, c)
	}
}

func TestExamine_CountsAWorkerOfManyShardsOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	layout := spread(t, 8)
	examine := sharded(t, rdb, layout)
	expectCheck(t, examine("workers"), Warning, "no worker runs")
	startWorkers(t, rdb, queuesOf(layout)...)
	expectCheck(t, examine("workers"), OK, "1 worker runs")
	expectCheck(t, examine("shards"), OK, "8 shards")
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	for _, n := range []int{2, 5} {
		if err := inspector.PauseQueue(layout.All()[n].Queue(queue.Deliver)); err != nil {
			t.Fatal(err)
		}
	}
	expectCheck(t, examine("workers"), Warning, "1 worker runs; paused: identwatch-deliver of shards 2, 5")
}

func TestExamine_NamesShardsThatNobodyServes(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	layout := spread(t, 8)
	served := slices.DeleteFunc(queuesOf(layout), func(name string) bool {
		kind, n := session.SplitQueue(name)
		return kind == queue.Remove || kind == queue.Follow && (n == 1 || n == 6) || kind == queue.Deliver && n == 3
	})
	startWorkers(t, rdb, append(served, "shop-mail")...)
	expectCheck(t, sharded(t, rdb, layout)("workers"), Warning,
		"1 worker runs, and none serves identwatch-follow of shards 1, 6 and identwatch-deliver of shard 3 and identwatch-remove of all shards")
}

// Who examines with other shards is told so, and changes nothing.
func TestExamine_SaysThatRedisHasOtherShards(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	expectCheck(t, sharded(t, rdb, spread(t, 4))("shards"), OK, "4 shards")
	if keys := rdb.Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Fatalf("it wrote %v", keys)
	}
	if err := shards.Agree(t.Context(), rdb, spread(t, 4)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 8} {
		expectCheck(t, sharded(t, rdb, spread(t, n))("shards"), Failed, `it has "4"`)
	}
	expectCheck(t, sharded(t, rdb, spread(t, 4))("shards"), OK, "4 shards")
}

func TestExamine_OfAClusterSaysWhereTheShardsAre(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := cluster.Client()
	layout := spread(t, 8)
	startWorkers(t, rdb, queuesOf(layout)...)
	examine := sharded(t, rdb, layout)
	expectCheck(t, examine("shards"), OK, "8 shards on 3 masters")
	expectCheck(t, examine("workers"), OK, "1 worker runs")

	slot := rdb.ClusterKeySlot(t.Context(), layout.All()[5].Key("")).Val()
	for _, node := range cluster.Nodes {
		if err := node.Client().ClusterDelSlots(t.Context(), int(slot)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expectCheck(t, examine("shards"), Failed, "8 shards; no master has the slot of shard 5, so sessions wait")

	away, other := cluster.MasterOf("asynq:workers"), cluster.MasterOf("asynq:servers")
	for _, ofNoShard := range []string{"asynq:queues", "asynq:servers", "asynq:workers", "identwatch:shards"} {
		if cluster.MasterOf(ofNoShard) == away {
			cluster.MoveSlot(ofNoShard, other)
		}
	}
	away.Kill()
	expectCheck(t, examine("shards"), Failed, " does not answer, so sessions wait; no master has the slot of shard 5")
	if c := examine("workers"); c.Status != OK || !strings.HasSuffix(c.Detail, "as far as the masters that answer know") {
		t.Errorf("%+v", c)
	}
}

// The number belongs to no shard, and its master may be the one that is away.
func TestExamine_SaysThatNobodyKnowsTheNumberOfShards(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := cluster.Client()
	cluster.MasterOf("identwatch:shards").Kill()
	c := sharded(t, rdb, spread(t, 8))("shards")
	expectCheck(t, c, Failed, "reading the number of shards: ")
}
