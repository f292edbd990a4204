package monitor

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// redisInfo is what the page shows of Redis.
type redisInfo struct {
	Address string `json:"address"`
	// Fields is nil if Redis says too little of itself for the page to lay
	// out, as the embedded one does. Then it shows Raw alone.
	Fields map[string]string `json:"info"`
	Raw    string            `json:"raw_info"`

	// What follows is of a cluster. Fields and Raw are then those of CLUSTER INFO.
	Cluster bool       `json:"cluster"`
	Nodes   string     `json:"raw_cluster_nodes"` // the answer of CLUSTER NODES
	Queues  []location `json:"queue_locations"`
}

// location is where a cluster has a queue.
type location struct {
	Queue string   `json:"queue"`
	Slot  int64    `json:"keyslot"`
	Nodes []string `json:"nodes"` // host:port, the master first
}

// serveRedis answers in place of asynqmon, whose call has no time limit, and
// whose page shows "undefined" for what an embedded Redis does not tell.
func (m *monitor) serveRedis(w http.ResponseWriter, r *http.Request) {
	info, err := m.readRedis(r.Context())
	if err != nil {
		if r.Context().Err() == nil {
			m.log.Warn("a call of the monitor failed", "call", "redis_info", "error", err)
		}
		http.Error(w, "Redis did not tell of itself: "+err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(info)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (m *monitor) readRedis(ctx context.Context) (redisInfo, error) {
	if cluster, ok := m.redis.(*redis.ClusterClient); ok {
		return readCluster(ctx, cluster)
	}
	raw, err := m.redis.Info(ctx).Result()
	return redisInfo{Address: address(m.redis), Fields: infoFields(raw, "redis_version"), Raw: raw}, err
}

// readCluster reads what a node knows of the cluster, and where the queues are.
func readCluster(ctx context.Context, cluster *redis.ClusterClient) (info redisInfo, err error) {
	raw, err := cluster.ClusterInfo(ctx).Result()
	if err != nil {
		return info, err
	}
	nodes, err := cluster.ClusterNodes(ctx).Result()
	if err != nil {
		return info, err
	}
	queues, err := locate(ctx, cluster)
	return redisInfo{
		Address: address(cluster), Fields: infoFields(raw, "cluster_state"), Raw: raw, Cluster: true, Nodes: nodes, Queues: queues,
	}, err
}

// locate finds the nodes of all queues, whose names asynq keeps in a set.
func locate(ctx context.Context, cluster *redis.ClusterClient) ([]location, error) {
	names, err := cluster.SMembers(ctx, "asynq:queues").Result()
	if err != nil {
		return nil, err
	}
	ranges, err := cluster.ClusterSlots(ctx).Result() //nolint:staticcheck // go-redis itself goes by what is deprecated
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	slots, err := cluster.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.ClusterKeySlot(ctx, "asynq:{"+name+"}:pending")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	queues := []location{}
	for i, name := range names {
		slot := slots[i].(*redis.IntCmd).Val()
		at := location{Queue: name, Slot: slot, Nodes: []string{}} // none if the slot has no master
		for _, r := range ranges {
			if r.Start <= int(slot) && int(slot) <= r.End {
				for _, node := range r.Nodes {
					at.Nodes = append(at.Nodes, node.Addr)
				}
			}
		}
		queues = append(queues, at)
	}
	return queues, nil
}

// infoFields takes the answer of INFO apart. It is nil without the field that a
// whole answer has.
func infoFields(raw, has string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(raw) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			fields[name] = value
		}
	}
	if fields[has] == "" {
		return nil
	}
	return fields
}

// address is where Redis is, without user and password. Of a cluster it is the nodes
// that REDIS_URL names.
func address(rdb redis.UniversalClient) string {
	switch client := rdb.(type) {
	case *redis.ClusterClient:
		return strings.Join(client.Options().Addrs, ", ")
	case *redis.Client:
		if addr := client.Options().Addr; addr != "FailoverClient" {
			return addr
		}
		return "the primary that Sentinel names"
	}
	return "Redis"
}
