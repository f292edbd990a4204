package metrics

import (
	"context"
	"errors"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// RedisHook counts what Redis refused or did not answer.
type RedisHook struct{ Errors prometheus.Counter }

var _ redis.Hook = RedisHook{}

// DialHook is called by go-redis.
func (h RedisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		h.count(err)
		return conn, err
	}
}

// ProcessHook is called by go-redis.
func (h RedisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.count(err)
		return err
	}
}

// ProcessPipelineHook is called by go-redis.
func (h RedisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.count(err)
		return err
	}
}

// count leaves out what is no trouble: nothing found, by Redis or by a script of
// asynq's, a script that is sent next, calls that the worker itself ended, and what
// go-redis tells a new connection of itself, which not every Redis understands.
func (h RedisHook) count(err error) {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) ||
		redis.HasErrorPrefix(err, "NOSCRIPT") || redis.HasErrorPrefix(err, "unknown") || redis.HasErrorPrefix(err, "NOT FOUND") {
		return
	}
	h.Errors.Inc()
}
