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
	"redis-socket:///path[?db=n], redis-sentinel:// (rediss-sentinel:// for TLS) [user:password@]host[:port][,host[:port]…][/db]?master=name[&sentinel_password=…], " +
	"or redis-cluster:// (rediss-cluster:// for TLS) [user:password@]host[:port][,host[:port]…]")

// poolSize is enough for a worker; connections are opened as they are needed. On a
// cluster it is that of each node.
const poolSize = 64

// OpenRedis makes a go-redis client from a URL of the scheme redis, rediss,
// redis-socket, redis-sentinel, rediss-sentinel, redis-cluster or rediss-cluster. It
// does not connect. Its errors never hold the URL, which may hold a password. The
// caller closes the client. Its calls end with their contexts.
//
// The query of redis:// and rediss:// takes go-redis's own settings, such as
// pool_size; the other schemes have a pool of 64 connections. In redis-sentinel:// the user and password are those of Redis, and
// sentinel_password is that of the sentinels. rediss-sentinel:// is the same with TLS,
// to the sentinels and to Redis: their certificates must be valid for the hosts of
// the URL, and for the address of Redis that the sentinels tell.
//
// redis-cluster:// names nodes of a Redis Cluster. One is enough, because the client
// asks it for the others, but the client needs one that is up when it starts. All
// nodes have the same user and password, and the pool of 64 is for each node. There
// is no database. The client is a [redis.ClusterClient] that reads from masters
// alone. rediss-cluster:// is the same with TLS: the certificate of a node must be
// valid for the host of the URL, and for the address or host name that the cluster
// announces for the node.
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
	case "redis-cluster":
		return openCluster(rest, nil)
	case "rediss-cluster":
		return openCluster(rest, &tls.Config{MinVersion: tls.VersionTLS12})
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

func openSentinel(rest string, config *tls.Config) (redis.UniversalClient, error) {
	u, addresses, err := readList(rest, "26379")
	if err != nil || u.Query().Get("master") == "" {
		return nil, errRedisURL
	}
	db, err := database(strings.Trim(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	password, _ := u.User.Password()
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: u.Query().Get("master"), SentinelAddrs: addresses,
		SentinelPassword: u.Query().Get("sentinel_password"),
		Username:         u.User.Username(), Password: password, DB: db, PoolSize: poolSize,
		TLSConfig: config, ContextTimeoutEnabled: true, Dialer: dialer(0, config),
	}), nil
}

// clusterRefresh is how long a client goes on with what it knows of a cluster. A
// master that is gone refuses connections and sends nobody to its successor, so this
// is also how long a failover is not noticed. The default of go-redis is a minute.
const clusterRefresh = time.Second

func openCluster(rest string, config *tls.Config) (redis.UniversalClient, error) {
	u, addresses, err := readList(rest, "6379")
	if err != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errRedisURL
	}
	password, _ := u.User.Password()
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addresses, Username: u.User.Username(), Password: password, PoolSize: poolSize,
		TLSConfig: config, ContextTimeoutEnabled: true, Dialer: dialer(0, config),
		ClusterStateReloadInterval: clusterRefresh,
		DialerRetries:              1, // the client repeats a call itself, and another node may answer
	}), nil
}

// readList reads a URL that has a list of hosts, without its scheme. It takes the
// list apart by hand, because net/url refuses more than one port in a URL. A host
// without a port gets the one that is given. The host of the URL that it returns
// means nothing.
func readList(rest, port string) (u *url.URL, addresses []string, err error) {
	hosts, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		hosts, tail = rest[:i], rest[i:]
	}
	userinfo := ""
	if i := strings.LastIndex(hosts, "@"); i >= 0 {
		userinfo, hosts = hosts[:i+1], hosts[i+1:]
	}
	const all = "all"
	u, err = url.Parse("list://" + userinfo + all + tail)
	if err != nil || u.Host != all || u.Fragment != "" {
		return nil, nil, errRedisURL
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address := withPort(host, port)
		if address == "" {
			return nil, nil, errRedisURL
		}
		addresses = append(addresses, address)
	}
	return u, addresses, nil
}

// withPort adds the port if there is none. It returns "" for what is no address: a
// password with a '?', '/' or '#' that was not escaped ends up here, and every failed
// dial would show it.
func withPort(a, port string) string {
	if host, isIPv6 := strings.CutPrefix(a, "["); !strings.Contains(a, ":") || isIPv6 && strings.HasSuffix(host, "]") {
		a += ":" + port
	}
	host, number, err := net.SplitHostPort(a)
	if err != nil || host == "" || strings.ContainsAny(host, "# ") {
		return ""
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 {
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
