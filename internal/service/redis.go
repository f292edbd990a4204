package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/redisinfo"
)

const (
	redisPause   = 500 * time.Millisecond // between two tries
	redisTimeout = 5 * time.Second        // of one try
	redisRemind  = 5 * time.Second        // between two log lines
)

// findRedis waits for Redis and returns what is unsafe about it. It returns an
// error if it will not do, and nothing if ctx ended first. Of a cluster, one master
// that answers is enough: the sessions of the others wait.
func findRedis(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) (unsafe []redisinfo.Flaw, err error) {
	masters, err := awaitRedis(ctx, rdb, log)
	if err != nil || masters == nil {
		return nil, err
	}
	for _, m := range masters {
		if m.Err != nil {
			log.Warn("a master of the Redis Cluster does not answer; its sessions wait until it or a replica does", "error", m.Err)
		}
	}
	return redisinfo.Check(rdb, masters)
}

// awaitRedis waits until Redis says how it is. It returns an error if waiting does
// not help, because Redis answers that it will not have us, and nothing if ctx ended.
func awaitRedis(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) ([]redisinfo.State, error) {
	reminder := rate.Sometimes{Interval: redisRemind}
	for ctx.Err() == nil {
		masters, err := ask(ctx, rdb)
		switch {
		case err == nil:
			return masters, nil
		case errors.Is(err, redisinfo.ErrNotCluster):
			return nil, err
		case refusedByRedis(err):
			return nil, fmt.Errorf("Redis refuses identwatch; check the user, password and database in REDIS_URL: %w", err) //nolint:staticcheck // Redis is a name
		case ctx.Err() == nil:
			reminder.Do(func() { log.Warn("Redis cannot be reached; trying until it can", "error", err) })
		}
		select {
		case <-ctx.Done():
		case <-time.After(redisPause):
		}
	}
	return nil, nil
}

func ask(ctx context.Context, rdb redis.UniversalClient) ([]redisinfo.State, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return redisinfo.ReadAll(ctx, rdb)
}

// passing are answers of a Redis that is starting, failing over or very busy.
var passing = []string{"LOADING ", "MASTERDOWN ", "READONLY ", "TRYAGAIN ", "CLUSTERDOWN ", "BUSY ", "ERR max number of clients"}

// refusedByRedis reports whether an error is an answer of Redis that repeating
// does not change, such as WRONGPASS, and no trouble on the way to it.
func refusedByRedis(err error) bool {
	answer, isAnswer := errors.AsType[redis.Error](err)
	if !isAnswer || errors.Is(err, redis.Nil) {
		return false
	}
	for _, p := range passing {
		if strings.HasPrefix(answer.Error(), p) {
			return false
		}
	}
	return true
}
