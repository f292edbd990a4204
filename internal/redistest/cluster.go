package redistest

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
)

// slotCount is how many slots a cluster has.
const slotCount = 16384

// Cluster is a real Redis Cluster. Each node is a redis-server with ports and
// files of its own.
type Cluster struct {
	// Nodes are the first masters, in the order of their slots, and then the first
	// replicas: one for each master, then a second one for each, and so on.
	Nodes []*Server

	tb      testing.TB
	masters int // how many
}

// StartCluster starts a cluster that lasts as long as the test. The masters share
// the slots evenly. The arguments are added to the command line of each node, such
// as "--appendonly", "yes". The nodes ask for no password.
//
// A node that does not answer for one second counts as down. A replica takes over
// only if most of the masters are up, so a test of that needs at least three. The
// slots of the other masters can be used meanwhile.
func StartCluster(tb testing.TB, masters, replicasOfEach int, args ...string) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb, masters: masters}
	var buses []string // the ports at which the nodes talk to each other
	for range masters * (1 + replicasOfEach) {
		bus := freeport.Port(tb)
		buses = append(buses, bus)
		c.Nodes = append(c.Nodes, Start(tb, append([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", bus,
			"--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no",
			// A replica follows its first master at once, and may always take over. The
			// nodes name it to clients once something was replicated, which may be a ping.
			"--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0",
			"--repl-ping-replica-period", "1",
		}, args...)...))
	}
	c.join(buses)
	c.AwaitReady()
	return c
}

// join makes one cluster of the nodes.
func (c *Cluster) join(buses []string) {
	c.tb.Helper()
	for i, node := range c.Nodes {
		node.must("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < c.masters {
			node.must("CLUSTER", "ADDSLOTSRANGE", slotCount*i/c.masters, slotCount*(i+1)/c.masters-1)
		}
		if i > 0 {
			host, port, _ := net.SplitHostPort(node.Addr)
			c.Nodes[0].must("CLUSTER", "MEET", host, port, buses[i])
		}
	}
	for i, replica := range c.Nodes[c.masters:] {
		id := c.Nodes[i%c.masters].id()
		c.await("a replica knows its master", func() bool {
			_, err := replica.ask("CLUSTER", "REPLICATE", id)
			return err == nil
		})
	}
}

// Client returns a client that is closed with the test.
func (c *Cluster) Client() *redis.ClusterClient {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.addrs(), DialerRetries: 1, ClusterStateReloadInterval: time.Second, // as tasks.OpenRedis does
	})
	c.tb.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// URL names all nodes as REDIS_URL does.
func (c *Cluster) URL() string { return "redis-cluster://" + strings.Join(c.addrs(), ",") }

func (c *Cluster) addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}

// Masters returns the nodes that run and are masters now, in the order of their slots.
func (c *Cluster) Masters() []*Server {
	var masters []*Server
	for _, owner := range c.owners() {
		if owner != nil && !slices.Contains(masters, owner) {
			masters = append(masters, owner)
		}
	}
	return masters
}

// MasterOf returns the node that is now the master of a key. It is nil while that
// master is down and no replica has taken over.
func (c *Cluster) MasterOf(key string) *Server {
	c.tb.Helper()
	return c.owners()[c.slotOf(key)]
}

// owners returns the master of each slot. If two nodes say that they have a slot,
// the later one has it: the other one was away and has not heard of it yet.
func (c *Cluster) owners() []*Server {
	owners, since := make([]*Server, slotCount), make([]int, slotCount)
	for _, node := range c.running() {
		myself := node.members().of(node.Addr)
		for slot := range myself.slots() {
			if myself.epoch > since[slot] {
				owners[slot], since[slot] = node, myself.epoch
			}
		}
	}
	return owners
}

// slotOf returns the slot of a key.
func (c *Cluster) slotOf(key string) int {
	c.tb.Helper()
	return int(c.running()[0].must("CLUSTER", "KEYSLOT", key).(int64))
}

func (c *Cluster) running() []*Server {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(node *Server) bool { return !node.runs() })
}

// AwaitReady waits until all nodes run, agree on who is a master, and all replicas
// follow. A test that restarted a node calls it before it goes on.
func (c *Cluster) AwaitReady() {
	c.tb.Helper()
	for _, node := range c.Nodes {
		c.await(node.Addr+" knows a cluster that is well", func() bool { return c.isReady(node) })
	}
}

// isReady reports whether a node takes the cluster for complete and well.
func (c *Cluster) isReady(node *Server) bool {
	known := node.members()
	masters := 0
	for _, m := range known {
		switch {
		case m.is("fail"), m.is("fail?"), m.is("handshake"):
			return false
		case m.is("master") && len(m.ranges) > 0:
			masters++
		case !m.is("slave"): // a replica that is not known as one yet
			return false
		}
	}
	if len(known) != len(c.Nodes) || masters != c.masters || !node.says("cluster_state:ok", "CLUSTER", "INFO") {
		return false
	}
	myself := known.of(node.Addr)
	if myself.is("slave") {
		return node.says("master_link_status:up", "INFO", "replication")
	}
	replicas := 0
	for _, m := range known {
		if m.master == myself.id {
			replicas++
		}
	}
	answer, _ := node.ask("INFO", "replication")
	return strings.Count(asText(answer), "state=online") == replicas
}

// AwaitFailover waits until a node that was killed has no slots left, because its
// replicas have taken over, and until all nodes that run know that.
func (c *Cluster) AwaitFailover(killed *Server) {
	c.tb.Helper()
	for _, node := range c.running() {
		c.await(node.Addr+" knows who has taken over from "+killed.Addr, func() bool {
			known := node.members()
			return len(known) > 0 && len(known.of(killed.Addr).ranges) == 0 && node.says("cluster_state:ok", "CLUSTER", "INFO")
		})
	}
}

// await polls until it is true.
func (c *Cluster) await(what string, is func() bool) {
	c.tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(deadline) {
			c.tb.Fatalf("not within a minute: %s", what)
		}
	}
}
