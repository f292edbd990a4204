package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
// error if it will not do, and nothing if ctx ended first.
func findRedis(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) (unsafe []redisinfo.Flaw, err error) {
	for ctx.Err() == nil {
		if err := awaitRedis(ctx, rdb, log); err != nil {
			return nil, err
		}
		info, err := redisinfo.Read(ctx, rdb)
		if err == nil {
			return info.Check(rdb)
		}
		if !lostRedis(err) {
			return nil, err
		}
	}
	return nil, nil
}

// lostRedis reports whether an error is trouble on the way to Redis, or the end
// of the way.
func lostRedis(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, io.EOF) || errors.Is(err, context.Canceled)
}

// awaitRedis waits until Redis answers. It returns an error where waiting does
// not help, because Redis answers that it will not have us, and nil where it
// answers or ctx ended.
func awaitRedis(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) error {
	reminder := rate.Sometimes{Interval: redisRemind}
	for ctx.Err() == nil {
		err := ping(ctx, rdb)
		switch {
		case err == nil:
			return nil
		case refusedByRedis(err):
			return fmt.Errorf("Redis refuses identwatch; check the user, password and database in REDIS_URL: %w", err) //nolint:staticcheck // Redis is a name
		case ctx.Err() == nil:
			reminder.Do(func() { log.Warn("Redis cannot be reached; trying until it can", "error", err) })
		}
		select {
		case <-ctx.Done():
		case <-time.After(redisPause):
		}
	}
	return nil
}

func ping(ctx context.Context, rdb redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return rdb.Ping(ctx).Err()
}

// passing are answers of a Redis that is starting, failing over or very busy.
var passing = []string{"LOADING ", "MASTERDOWN ", "READONLY ", "TRYAGAIN ", "BUSY ", "ERR max number of clients"}

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
