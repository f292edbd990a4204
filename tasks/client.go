package tasks

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/redisnode"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/shards"
)

// ErrDuplicate says that the session is known already: it is being followed, or
// was finished within the retention. Nothing was changed. After an Enqueue
// whose answer was lost it means that the session is in; go-redis repeats such a
// call itself, so that even a first Enqueue may return it when a connection broke.
var ErrDuplicate = errors.New("the session is already being followed, or was finished recently")

// ErrShards says that the sessions of this Redis are spread over another number of
// shards than ClientConfig.Shards. Nothing was changed.
var ErrShards = shards.ErrOther

// ClientConfig says how a Client reaches Redis.
type ClientConfig struct {
	// RedisURL is read by OpenRedis. Used if Redis is nil. The Client returns what
	// goes wrong and writes nothing; only about sentinels go-redis writes to standard
	// error, unless the application calls logging.Disable of go-redis.
	RedisURL string
	// Redis is a client that the application holds already; Close leaves it open.
	// Calls end with their contexts whatever its options, but one without
	// ContextTimeoutEnabled keeps a connection busy until its own time-outs.
	Redis redis.UniversalClient
	// Shards is over how many shards the sessions of this Redis are spread, as SHARDS of
	// the workers. Zero: 1, or 8 on a Redis Cluster.
	Shards int
	// Retention is how long a finished task is kept, between MinRetention and
	// MaxRetention. Zero: DefaultRetention.
	Retention time.Duration
	// Account is that of sessions that name none. Empty: DefaultAccount.
	Account string
	// PayloadKey signs the sessions, for workers that have TASK_KEYS for their
	// account. Zero: they are not signed.
	PayloadKey PayloadKey
}

// Client enqueues sessions, says how they stand, and cancels them. It is safe for
// concurrent use.
type Client struct {
	redis     redis.UniversalClient
	shards    session.Shards
	agreed    atomic.Bool // Redis was begun with our shards
	enqueuer  enqueuer
	sessions  *admin.Sessions
	owned     bool
	retention time.Duration
	account   string
	key       PayloadKey
	dial      atomic.Pointer[dialError] // that failed last; nil after one that did not
}

// NewClient makes a Client. It does not connect to Redis.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Retention != 0 && (cfg.Retention < MinRetention || cfg.Retention > MaxRetention) {
		return nil, fmt.Errorf("a retention of %v is not between %v and %v", cfg.Retention, MinRetention, MaxRetention)
	}
	c := &Client{redis: cfg.Redis, retention: cfg.Retention, account: cfg.Account, key: cfg.PayloadKey}
	if c.redis == nil {
		opened, err := OpenRedis(cfg.RedisURL)
		if err != nil {
			return nil, err
		}
		redisnode.AddHook(opened, quiet{&c.dial})
		c.redis, c.owned = opened, true
	}
	var err error
	if c.shards, err = shards.New(cfg.Shards, c.redis); err != nil {
		return nil, errors.Join(fmt.Errorf("the number of shards %w", err), c.Close())
	}
	c.enqueuer, c.sessions = newEnqueuer(c.redis, c.shards), admin.New(c.redis, c.shards)
	return c, nil
}

// agree makes sure, once, that the sessions of this Redis are spread over our shards: in
// another one nobody would find a session.
func (c *Client) agree(ctx context.Context) error {
	if c.agreed.Load() {
		return nil
	}
	err := shards.Agree(ctx, c.redis, c.shards)
	c.agreed.Store(err == nil)
	return err
}

// Close closes the connections that the Client opened itself.
func (c *Client) Close() error {
	if !c.owned {
		return nil
	}
	return c.redis.Close()
}
