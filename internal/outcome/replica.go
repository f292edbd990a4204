package outcome

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/redisnode"
)

// ErrNotReplicated says that no replica took the note over in time, so that a
// failover could lose it.
var ErrNotReplicated = errors.New("no replica has the session's record yet")

// Replicas returns how many replicas the Redis has that keeps a session's record.
func (s *Store) Replicas(ctx context.Context, session Session) (int, error) {
	node, err := redisnode.Of(ctx, s.cfg.Redis, s.key(session.ID))
	if err != nil {
		return 0, err
	}
	info, err := redisinfo.Read(ctx, node)
	if err != nil {
		return 0, err
	}
	return info.Replicas(), nil
}

// conner is the part of a go-redis client that lends one connection: WAIT
// speaks only of what its own connection wrote.
type conner interface {
	Conn() *redis.Conn
}

func (s *Store) removingReplicated(ctx context.Context, session Session, waitFor time.Duration) (Change, error) {
	node, err := redisnode.Of(ctx, s.cfg.Redis, s.key(session.ID))
	if err != nil {
		return Change{}, err
	}
	client, ok := node.(conner)
	if !ok {
		return Change{}, ErrNotReplicated
	}
	conn := client.Conn()
	defer conn.Close() //nolint:errcheck // gives the connection back to the pool
	change, err := s.removing(ctx, conn, session)
	if err != nil || !change.Applied {
		return change, err
	}
	replicas, err := conn.Wait(ctx, 1, waitFor).Result()
	if err != nil {
		return Change{Record: change.Record}, fmt.Errorf("waiting for a replica: %w", err)
	}
	if replicas < 1 {
		return Change{Record: change.Record}, ErrNotReplicated
	}
	return change, nil
}
