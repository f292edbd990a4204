package redisinfo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Master is one Redis that takes writes: the only one, or a master of a cluster.
type Master struct {
	// Addr is host:port in a cluster, and "" if there is only one Redis.
	Addr   string
	Client redis.UniversalClient
}

// Named adds to an error which master it is about. Nil stays nil.
func (m Master) Named(err error) error {
	if err == nil || m.Addr == "" {
		return err
	}
	return fmt.Errorf("%s: %w", m.Addr, err)
}

// State is what a master said of itself.
type State struct {
	Master
	Info Info  // nil if it did not answer
	Err  error // why it did not answer; it names the master of a cluster
}

// ErrNotCluster says that the client is for a cluster, and the Redis is none.
var ErrNotCluster = errors.New("this Redis is not in cluster mode: use redis:// in REDIS_URL instead of redis-cluster://, or rediss:// instead of rediss-cluster://")

// Masters returns the masters of a cluster, by their addresses, or else the one Redis
// that the client has. Nobody knows yet whether they answer.
func Masters(ctx context.Context, rdb redis.UniversalClient) ([]Master, error) {
	cluster, isCluster := rdb.(*redis.ClusterClient)
	if !isCluster {
		return []Master{{Client: rdb}}, nil
	}
	var mu sync.Mutex
	var masters []Master
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, Master{Addr: node.Options().Addr, Client: node})
		return nil
	})
	switch {
	case err != nil && strings.Contains(err.Error(), "cluster support disabled"):
		return nil, ErrNotCluster
	case err != nil:
		return nil, fmt.Errorf("asking for the masters of the cluster: %w", err)
	case len(masters) == 0:
		return nil, errors.New("the cluster has no master yet: no node has any slots")
	}
	slices.SortFunc(masters, func(a, b Master) int { return strings.Compare(a.Addr, b.Addr) })
	return masters, nil
}

// patience is how long one master of a cluster may take to answer, so that one that
// is silent leaves time for the others.
const patience = 3 * time.Second

// ReadAll asks the Redis, or each master of the cluster, for all of it. The error is
// nil if at least one answered. It is [ErrNotCluster] if there is no cluster.
func ReadAll(ctx context.Context, rdb redis.UniversalClient) ([]State, error) {
	masters, err := Masters(ctx, rdb)
	if err != nil {
		return nil, err
	}
	states := make([]State, len(masters))
	var all sync.WaitGroup
	for i, master := range masters {
		all.Go(func() { states[i] = read(ctx, master) })
	}
	all.Wait()
	var failed []error
	for _, s := range states {
		if s.Err == nil {
			return states, nil
		}
		failed = append(failed, s.Err)
	}
	return nil, errors.Join(failed...)
}

func read(ctx context.Context, master Master) State {
	if master.Addr != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	info, err := Read(ctx, master.Client)
	return State{Master: master, Info: info, Err: master.Named(err)}
}
