package redisnode

import "github.com/redis/go-redis/v9"

// AddHook adds a hook that is also called when a connection is made. A cluster's client
// makes none itself, its nodes do, and go-redis does not call the client's hook for
// that: each node that the client uses from now on gets the part of the hook that sees
// it. Calls stay with the client, so that nothing is counted twice. Call it before the
// client is used.
func AddHook(rdb redis.UniversalClient, hook redis.Hook) {
	rdb.AddHook(hook)
	if cluster, isCluster := rdb.(*redis.ClusterClient); isCluster {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(dialOnly{hook}) })
	}
}

// dialOnly leaves calls alone.
type dialOnly struct{ redis.Hook }

func (dialOnly) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dialOnly) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
