// Package redisnode finds the node of a Redis Cluster that has a key, for what go-redis
// sends to any node otherwise: SCAN, INFO, and WAIT, which is about one connection. It
// also has hooks called when a node is dialled.
//
// Read redisnode.go (the node of a key), then hook.go.
package redisnode

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Of is the node that has a key, which may not exist; a Redis that is no cluster is its
// own. The answer may be out of date at any moment: a slot moves, or a replica takes over.
func Of(ctx context.Context, rdb redis.UniversalClient, key string) (redis.UniversalClient, error) {
	cluster, isCluster := rdb.(*redis.ClusterClient)
	if !isCluster {
		return rdb, nil
	}
	node, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("looking for the node of a key: %w", err)
	}
	return node, nil
}
