package outcome

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotReplicated says that no replica took the note over in time, so that a
// failover could lose it.
var ErrNotReplicated = errors.New("no replica has the session's record yet")

// Replicas returns how many replicas are connected to Redis.
func (s *Store) Replicas(ctx context.Context) (int, error) {
	info, err := s.cfg.Redis.Info(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("asking Redis for its replicas: %w", err)
	}
	_, rest, found := strings.Cut(info, "connected_slaves:")
	if !found {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if err != nil {
		return 0, nil //nolint:nilerr // a Redis that does not say has none
	}
	return n, nil
}

// conner is the part of a go-redis client that lends one connection: WAIT
// speaks only of what its own connection wrote.
type conner interface {
	Conn() *redis.Conn
}

func (s *Store) removingReplicated(ctx context.Context, session Session, waitFor time.Duration) (Change, error) {
	client, ok := s.cfg.Redis.(conner)
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
