// Package shards makes all processes agree over how many shards the sessions of a Redis
// are spread. The number is part of the data: the first process writes it into Redis, and
// every other compares its own.
package shards

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

// OnCluster is the number of shards on a Redis Cluster if nobody says another: some for
// each of a few masters, so that a slot that moves to a new master takes work along.
const OnCluster = 8

// Default is the number of shards that a Redis has if nobody says another.
func Default(rdb redis.UniversalClient) int {
	if _, isCluster := rdb.(*redis.ClusterClient); isCluster {
		return OnCluster
	}
	return 1
}

// New is the Shards that a process was told to use; 0 is the Default of its Redis.
func New(n int, rdb redis.UniversalClient) (session.Shards, error) {
	if n == 0 {
		n = Default(rdb)
	}
	return session.NewShards(n)
}

// key holds the number. A process with another one must find it, so that it is in no
// shard. No record has this name, because a record's has a second colon.
const key = "identwatch:shards"

// ErrOther says that the sessions of a Redis are spread over another number of shards.
var ErrOther = errors.New("SHARDS differs from what this Redis was begun with")

// Agree writes the number of shards into Redis if none is there. The error is ErrOther,
// which says what to do, or what Redis answered.
func Agree(ctx context.Context, rdb redis.UniversalClient, own session.Shards) error {
	n, err := begun(ctx, rdb, own.Count())
	if err == nil && n == "" {
		n, err = begin(ctx, rdb, own.Count())
	}
	return compare(n, err, own)
}

// Check is Agree for those who change nothing: a Redis that nobody has begun has no
// number, and any is right.
func Check(ctx context.Context, rdb redis.UniversalClient, own session.Shards) error {
	n, err := begun(ctx, rdb, own.Count())
	if err == nil && n == "" {
		return nil
	}
	return compare(n, err, own)
}

func compare(n string, err error, own session.Shards) error {
	switch {
	case err != nil:
		return fmt.Errorf("reading the number of shards: %w", err)
	case n != strconv.Itoa(own.Count()):
		return fmt.Errorf("%w: it has %.5q, and SHARDS is %d here; set SHARDS to that, or use an empty Redis: see docs/scaling.md", ErrOther, n, own.Count())
	}
	return nil
}

// begun is the number that Redis has, or "".
func begun(ctx context.Context, rdb redis.UniversalClient, own int) (string, error) {
	n, err := rdb.Get(ctx, key).Result()
	if !errors.Is(err, redis.Nil) {
		return n, err
	}
	if own == 1 {
		return "", nil
	}
	// A release that knew no shards wrote no number.
	older, err := rdb.SIsMember(ctx, "asynq:queues", "identwatch-follow").Result()
	if err != nil || older {
		return "1", err
	}
	return "", nil
}

// begin is what Redis has after it was offered our number.
func begin(ctx context.Context, rdb redis.UniversalClient, own int) (string, error) {
	if err := rdb.SetNX(ctx, key, own, 0).Err(); err != nil {
		return "", err
	}
	return rdb.Get(ctx, key).Result()
}
