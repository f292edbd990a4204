package tasks

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var errRedisURL = errors.New("not a Redis URL: use redis://[user:password@]host[:port][/db], rediss:// for TLS, " +
	"redis-socket:///path[?db=n], or redis-sentinel:// (rediss-sentinel:// for TLS) [user:password@]host[:port][,host[:port]…][/db]?master=name[&sentinel_password=…]")

// poolSize is enough for a worker; connections are opened as they are needed.
const poolSize = 64

// OpenRedis makes a go-redis client from a URL of the scheme redis, rediss,
// redis-socket, redis-sentinel or rediss-sentinel. It does not connect. Its errors
// never hold the URL, which may hold a password. The caller closes the client. Its
// calls end with their contexts.
//
// The query of redis:// and rediss:// takes go-redis's own settings, such as
// pool_size; the other schemes have a pool of 64 connections. In redis-sentinel:// the user and password are those of Redis, and
// sentinel_password is that of the sentinels. rediss-sentinel:// is the same with TLS,
// to the sentinels and to Redis: their certificates must be valid for the hosts of
// the URL, and for the address of Redis that the sentinels tell.
func OpenRedis(rawURL string) (redis.UniversalClient, error) {
	scheme, rest, found := strings.Cut(rawURL, "://")
	if !found {
		return nil, errRedisURL
	}
	switch scheme {
	case "redis", "rediss":
		options, err := redis.ParseURL(rawURL)
		if err != nil || !sizesAllowed(options) {
			return nil, errRedisURL
		}
		options.ContextTimeoutEnabled = true
		options.Dialer = dialer(options.DialTimeout, options.TLSConfig)
		return redis.NewClient(options), nil
	case "redis-socket":
		return openSocket(rest)
	case "redis-sentinel":
		return openSentinel(rest, nil)
	case "rediss-sentinel":
		return openSentinel(rest, &tls.Config{MinVersion: tls.VersionTLS12})
	}
	return nil, errRedisURL
}

// The bounds of what a URL may set, for go-redis panics on a negative size, and
// allocates for a large one before the first connection.
const (
	maxConns  = 10_000
	maxBuffer = 16 << 20
)

func sizesAllowed(o *redis.Options) bool {
	for _, conns := range []int{
		o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.MaxConcurrentDials, o.PipelinePoolSize,
	} {
		if conns < 0 || conns > maxConns {
			return false
		}
	}
	for _, buffer := range []int{o.PipelineReadBufferSize, o.PipelineWriteBufferSize} {
		if buffer < 0 || buffer > maxBuffer {
			return false
		}
	}
	return true
}

const defaultDialTimeout = 5 * time.Second

// dialer connects as go-redis does, but with TLS also until its context ends. A
// configuration that names no server takes the host that is dialled.
func dialer(timeout time.Duration, config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: cmp.Or(timeout, defaultDialTimeout)}
	if config == nil {
		return plain.DialContext
	}
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
}

func openSocket(rest string) (redis.UniversalClient, error) {
	u, err := url.Parse("unix://" + rest)
	if err != nil || u.Path == "" {
		return nil, errRedisURL
	}
	db, err := database(u.Query().Get("db"))
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: u.Path, Username: u.User.Username(), Password: password, DB: db, PoolSize: poolSize,
		ContextTimeoutEnabled: true, Dialer: dialer(0, nil),
	}), nil
}

// openSentinel takes the list of hosts apart by hand, since net/url refuses
// more than one port in a URL.
func openSentinel(rest string, config *tls.Config) (redis.UniversalClient, error) {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	hosts := authority
	userinfo := ""
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		userinfo, hosts = authority[:i+1], authority[i+1:]
	}
	u, err := url.Parse("sentinel://" + userinfo + "sentinels" + tail)
	if err != nil || hosts == "" || u.Query().Get("master") == "" {
		return nil, errRedisURL
	}
	db, err := database(strings.Trim(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	addresses := strings.Split(hosts, ",")
	for i, a := range addresses {
		if addresses[i] = sentinelAddress(a); addresses[i] == "" {
			return nil, errRedisURL
		}
	}
	password, _ := u.User.Password()
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: u.Query().Get("master"), SentinelAddrs: addresses,
		SentinelPassword: u.Query().Get("sentinel_password"),
		Username:         u.User.Username(), Password: password, DB: db, PoolSize: poolSize,
		TLSConfig: config, ContextTimeoutEnabled: true, Dialer: dialer(0, config),
	}), nil
}

// sentinelAddress adds the port where there is none. It returns "" for what is
// no address: a password with a '?' or '/' that was not escaped ends up here,
// and would be shown by every failed dial.
func sentinelAddress(a string) string {
	if host, isIPv6 := strings.CutPrefix(a, "["); !strings.Contains(a, ":") || isIPv6 && strings.HasSuffix(host, "]") {
		a += ":26379"
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" {
		return ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return ""
	}
	return a
}

func database(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	db, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, errRedisURL
	}
	return int(db), nil
}
