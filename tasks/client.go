package tasks

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/admin"
)

// ErrDuplicate says that the session is known already: it is being followed, or
// was finished within the retention. Nothing was changed. After an Enqueue
// whose answer was lost it means that the session is in; go-redis repeats such a
// call itself, so that even a first Enqueue may return it when a connection broke.
var ErrDuplicate = errors.New("the session is already being followed, or was finished recently")

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
		opened.AddHook(quiet{&c.dial})
		c.redis, c.owned = opened, true
	}
	c.enqueuer, c.sessions = newEnqueuer(c.redis), admin.New(c.redis)
	return c, nil
}

// Close closes the connections that the Client opened itself.
func (c *Client) Close() error {
	if !c.owned {
		return nil
	}
	return c.redis.Close()
}
