package closed

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestContain_ClosesRedisAndWhatTheServiceListensOn(t *testing.T) {
	t.Parallel()
	var a Addresses
	a.Redis("redis://:secret@10.0.0.5:6379/0?pool_size=3")
	a.Redis("redis-sentinel://user:p%40ss@10.0.0.7,10.0.0.8:26380,[fd12::9]/1?master=main")
	a.Redis("rediss://203.0.113.9:7000")
	a.Listen(":8080")
	a.Listen("10.0.0.5:8088")
	a.Listen("localhost:8090")
	for target, want := range map[string]bool{
		"10.0.0.5:6379": true, "[::ffff:10.0.0.5]:6379": true,
		"10.9.9.9:6379": true, "[fd12::1]:6379": true, "127.0.0.1:6379": true, // Redis by an address that is not known
		"10.0.0.7:26379": true, "10.0.0.8:26380": true, "[fd12::9]:26379": true,
		"203.0.113.9:7000": true, "10.1.1.1:7000": true, "100.64.0.1:7000": true,
		"127.0.0.1:8080": true, "[::1]:8080": true, "0.0.0.0:8080": true, "127.9.9.9:8080": true,
		"10.0.0.5:8088":  true,
		"127.0.0.1:8090": true,

		"203.0.113.8:7000": false, "198.51.100.1:6379": false, // public, and another's
		"10.0.0.5:443": false, "10.0.0.5:8080": false, "10.0.0.6:8088": false, "10.0.0.5:8090": false, "127.0.0.1:8091": false,
	} {
		if got := a.Contain(netip.MustParseAddrPort(target)); got != want {
			t.Errorf("%s: closed %t, want %t", target, got, want)
		}
	}
}

// A service that listens everywhere is there at each of its machine's addresses.
func TestContain_ClosesEveryAddressOfThisMachine(t *testing.T) {
	t.Parallel()
	var a Addresses
	a.Listen("0.0.0.0:8080")
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range interfaces {
		addr := netip.MustParsePrefix(own.String()).Addr()
		if !a.Contain(netip.AddrPortFrom(addr, 8080)) {
			t.Errorf("%s is open", addr)
		}
	}
}

func TestContain_ANameWithoutAnAddressIsClosed(t *testing.T) {
	t.Parallel()
	var a Addresses
	a.Redis("redis://nobody.invalid:6379")
	if target := netip.MustParseAddrPort("203.0.113.9:6379"); !a.Contain(target) {
		t.Errorf("%s may be Redis, and is open", target)
	}
	if target := netip.MustParseAddrPort("203.0.113.9:443"); a.Contain(target) {
		t.Errorf("%s is closed", target)
	}
}

func TestRedisHosts_OfEveryScheme(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string][]string{
		"redis://":                            {"localhost:6379"},
		"rediss://user:pa@ss@r.example":       {"r.example:6379"},
		"redis-socket:///run/redis.sock?db=1": nil,
		"redis-sentinel://:pw@a,b:1,[::1]:2/0?master=m&sentinel_password=x": {"a:26379", "b:1", "[::1]:2"},
		"rediss-sentinel://a,b:1/0?master=m":                                {"a:26379", "b:1"},
		"redis-cluster://u:p@a,b:1":                                         {"a:6379", "b:1"},
		"rediss-cluster://[::1],b":                                          {"[::1]:6379", "b:6379"},
	} {
		if got := redisHosts(rawURL); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", rawURL, got, want)
		}
	}
}

// What no URL names, such as the master that sentinels tell, is known once a connection was made.
func TestWatch_ClosesWhereRedisWasFound(t *testing.T) {
	t.Parallel()
	mini := redistest.Start(t)
	opts, err := redis.ParseURL(mini.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	var a Addresses
	a.Watch(rdb)
	target := netip.MustParseAddrPort(opts.Addr)
	if a.Contain(target) {
		t.Fatal("closed before anything is known")
	}
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if !a.Contain(target) {
		t.Errorf("%s is open, where Redis answered", target)
	}
}

// A cluster names nodes that no URL names. They may have any address and port, and be replicas that nobody dials.
func TestWatch_ClosesTheNodesOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.Nodes[0].Addr}, ClusterStateReloadInterval: time.Millisecond})
	defer rdb.Close()
	var a Addresses
	a.Watch(rdb)
	isOpen := func(node *redistest.Server) bool { return !a.Contain(netip.MustParseAddrPort(node.Addr)) }
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(cluster.Nodes, isOpen); {
		if err := rdb.Set(t.Context(), "key", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("a node is open")
		}
		<-time.After(5 * time.Millisecond) // a replica is named once it has something
	}
}
