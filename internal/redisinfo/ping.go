package redisinfo

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Ping returns nil if the Redis answers, or at least one master of a cluster. go-redis
// itself sends a cluster's PING to any one master. Nobody waits for the masters that are
// silent if another one answers.
func Ping(ctx context.Context, rdb redis.UniversalClient) error {
	if _, isCluster := rdb.(*redis.ClusterClient); !isCluster {
		return rdb.Ping(ctx).Err()
	}
	masters, err := Masters(ctx, rdb)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make(chan error, len(masters))
	for _, m := range masters {
		go func() { answers <- m.Named(m.Client.Ping(ctx).Err()) }()
	}
	for range masters {
		if err = <-answers; err == nil {
			return nil
		}
	}
	return err
}
