package redisnode

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes to standard error what it returns anyway
	m.Run()
}

// counts counts what a hook sees.
type counts struct{ dials, refused, calls, pipelines atomic.Int64 }

func (c *counts) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		c.dials.Add(1)
		if err != nil {
			c.refused.Add(1)
		}
		return conn, err
	}
}

func (c *counts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "get" { // and none of those that go-redis makes itself
			c.calls.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (c *counts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "get" {
			c.pipelines.Add(1)
		}
		return next(ctx, cmds)
	}
}

// use makes one call and one pipeline of two nodes' keys, and returns the error of the call.
func use(t *testing.T, rdb redis.UniversalClient, key string) error {
	t.Helper()
	_, _ = rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Get(t.Context(), key)
		p.Get(t.Context(), "another")
		return nil
	})
	return rdb.Get(t.Context(), key).Err()
}

func TestAddHook_SeesConnectionsAndEachCallOnce(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	for name, rdb := range map[string]redis.UniversalClient{"one Redis": redistest.Start(t).Client(), "a cluster": cluster.Client()} {
		var seen counts
		AddHook(rdb, &seen)
		if err := use(t, rdb, "key"); err != redis.Nil { //nolint:errorlint // go-redis returns it bare
			t.Errorf("%s: %v", name, err)
		}
		if seen.dials.Load() == 0 || seen.refused.Load() != 0 || seen.calls.Load() != 1 || seen.pipelines.Load() != 1 {
			t.Errorf("%s: %d dials, %d calls, %d pipelines", name, seen.dials.Load(), seen.calls.Load(), seen.pipelines.Load())
		}
	}
	rdb := cluster.Client()
	var seen counts
	AddHook(rdb, &seen)
	cluster.MasterOf("key").Kill()
	if err := use(t, rdb, "key"); err == nil || seen.refused.Load() == 0 || seen.calls.Load() != 1 {
		t.Errorf("of a master that is down: %v, %d dials in vain, %d calls", err, seen.refused.Load(), seen.calls.Load())
	}
}
