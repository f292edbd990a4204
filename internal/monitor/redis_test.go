package monitor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestCalls_ShowACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.Nodes[0].Addr, cluster.Nodes[2].Addr}, Password: "redis-password"})
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)
	var names []string
	for i := range 6 {
		names = append(names, fmt.Sprint("queue-", i))
		if _, err := client.Enqueue(asynq.NewTask("kind", nil, asynq.TaskID("task"), asynq.Queue(names[i]))); err != nil {
			t.Fatal(err)
		}
	}
	h := mounted(Options{Redis: rdb, Write: true})
	for _, call := range []string{
		"queues", "queues/queue-3", "queues/queue-3/pending_tasks", "queues/queue-3/retry_tasks", "queues/queue-3/tasks/task",
		"queue_stats", "servers", "scheduler_entries", "redis_info",
	} {
		if rec := request(h, "GET", Path+"api/"+call); rec.Code != 200 || strings.Contains(rec.Body.String(), "redis-password") {
			t.Errorf("%s: got %d %s", call, rec.Code, rec.Body)
		}
	}
	if rec := request(h, "POST", Path+"api/queues/queue-3/pending_tasks/task:archive", "Sec-Fetch-Site: same-origin"); rec.Code != 204 {
		t.Errorf("archiving: got %d %s", rec.Code, rec.Body)
	}
	var info redisInfo
	if err := json.Unmarshal(request(h, "GET", Path+"api/redis_info").Body.Bytes(), &info); err != nil {
		t.Fatal(err)
	}
	if !info.Cluster || info.Address != cluster.Nodes[0].Addr+", "+cluster.Nodes[2].Addr || info.Fields["cluster_state"] != "ok" || !strings.Contains(info.Nodes, cluster.Nodes[1].Addr) {
		t.Errorf("got %+v", info)
	}
	var found []string
	for _, at := range info.Queues {
		found = append(found, at.Queue)
		if want := cluster.MasterOf("asynq:{" + at.Queue + "}:x").Addr; len(at.Nodes) != 1 || at.Nodes[0] != want {
			t.Errorf("%s is at %s, and shown at %v", at.Queue, want, at.Nodes)
		}
	}
	if !slices.Equal(found, names) {
		t.Errorf("the queues are %v", found)
	}
}
