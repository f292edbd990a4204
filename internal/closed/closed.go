// Package closed knows the addresses that no callback may reach, whatever networks are open to callbacks: the service's
// own Redis, and what the service listens on. It dials nobody.
package closed

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/address"
)

// lookupTimeout bounds the look-up of a name.
const lookupTimeout = 2 * time.Second

// Addresses are what is closed. The zero value closes nothing. It is safe for concurrent use.
type Addresses struct {
	mu     sync.RWMutex
	own    []string         // host:port, of listeners
	redis  []string         // host:port, of Redis, its sentinels or its nodes
	dialed []netip.AddrPort // of Redis, as connections found it
}

// Listen closes an address that the service listens on, host:port. An empty or unspecified host is every address of this
// machine.
func (a *Addresses) Listen(addr string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.own = append(a.own, addr)
}

// Redis closes what a Redis URL names: Redis, its sentinels, or nodes of a cluster.
func (a *Addresses) Redis(rawURL string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.redis = append(a.redis, redisHosts(rawURL)...)
}

// redisHosts are the host:port of a Redis URL; none on a Unix socket, which no callback reaches. A list of hosts is no URL
// to net/url.
func redisHosts(rawURL string) []string {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	var port string
	switch scheme {
	case "redis", "rediss", "redis-cluster", "rediss-cluster":
		port = "6379"
	case "redis-sentinel", "rediss-sentinel":
		port = "26379"
	default:
		return nil
	}
	authority, _, _ := strings.Cut(rest, "?")
	authority, _, _ = strings.Cut(authority, "/")
	authority = authority[strings.LastIndex(authority, "@")+1:]
	var hosts []string
	for host := range strings.SplitSeq(authority, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil {
			continue // whoever opens it says so
		}
		name, number := u.Hostname(), u.Port()
		if name == "" {
			name = "localhost"
		}
		if number == "" {
			number = port
		}
		hosts = append(hosts, net.JoinHostPort(name, number))
	}
	return hosts
}

// Contain reports whether a callback must not reach the address. Redis may have more addresses than are known here, of
// replicas and of other networks, so that its ports are closed in every network that is not public. A name is looked up
// only if the port is that of the target; one that has no address now closes it.
func (a *Addresses) Contain(target netip.AddrPort) bool {
	target = netip.AddrPortFrom(target.Addr().Unmap().WithZone(""), target.Port())
	a.mu.RLock()
	own, redis, dialed := slices.Clone(a.own), slices.Clone(a.redis), slices.Clone(a.dialed)
	a.mu.RUnlock()
	private := address.IsPrivate(target.Addr())
	return slices.ContainsFunc(dialed, func(known netip.AddrPort) bool {
		return known.Port() == target.Port() && (private || known.Addr() == target.Addr() || sameMachine(known.Addr(), target.Addr()))
	}) || slices.ContainsFunc(redis, func(hostPort string) bool {
		return portOf(hostPort) == target.Port() && (private || leadsTo(hostPort, target.Addr()))
	}) || slices.ContainsFunc(own, func(hostPort string) bool {
		return portOf(hostPort) == target.Port() && leadsTo(hostPort, target.Addr())
	})
}

func portOf(hostPort string) uint16 {
	_, text, _ := net.SplitHostPort(hostPort)
	addr, err := netip.ParseAddrPort("0.0.0.0:" + text)
	if err != nil {
		return 0 // no callback goes to port 0
	}
	return addr.Port()
}

// leadsTo reports whether host:port may stand for the address.
func leadsTo(hostPort string, target netip.Addr) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return true
	}
	if host == "" {
		return isLocal(target)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err != nil || slices.ContainsFunc(addrs, func(addr netip.Addr) bool {
		addr = addr.Unmap().WithZone("")
		return addr == target || sameMachine(addr, target)
	})
}

// sameMachine reports whether both addresses are this machine's: what listens on one may listen on all.
func sameMachine(a, b netip.Addr) bool { return isLocal(a) && isLocal(b) }

func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(interfaces, func(own net.Addr) bool {
		prefix, err := netip.ParsePrefix(own.String())
		return err == nil && prefix.Addr().Unmap().WithZone("") == addr
	})
}

// Watch closes each address at which a client reaches Redis from now on, such as the master that sentinels name. Of a
// cluster it closes all nodes, replicas too. Call it before the client is used.
func (a *Addresses) Watch(rdb redis.UniversalClient) {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		rdb.AddHook(hook{a})
		return
	}
	cluster.OnNewNode(func(node *redis.Client) { // a hook of the cluster's client is not called when a node is dialled
		node.AddHook(hook{a})
		a.mu.Lock()
		defer a.mu.Unlock()
		if addr := node.Options().Addr; !slices.Contains(a.redis, addr) {
			a.redis = append(a.redis, addr)
		}
	})
}

type hook struct{ to *Addresses }

func (h hook) DialHook(dial redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			h.to.note(conn.RemoteAddr())
		}
		return conn, err
	}
}

func (hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *Addresses) note(addr net.Addr) {
	at, ok := addr.(*net.TCPAddr)
	if !ok {
		return
	}
	known := netip.AddrPortFrom(at.AddrPort().Addr().Unmap().WithZone(""), at.AddrPort().Port())
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.dialed, known) {
		a.dialed = append(a.dialed, known)
	}
}
