package tasks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redistest"
)

func openAll(t *testing.T, url string) *redis.ClusterClient {
	t.Helper()
	rdb, err := OpenRedis(url)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	t.Cleanup(func() { rdb.Close() })
	client, ok := rdb.(*redis.ClusterClient)
	if !ok {
		t.Fatalf("got a %T", rdb)
	}
	return client
}

func TestOpenRedis_ReadsTheURLOfACluster(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]redis.ClusterOptions{
		"redis-cluster://h1": {Addrs: []string{"h1:6379"}},
		"redis-cluster://user:p%40ss@h1:7000,h2,[2001:db8::1],[::1]:7001/": {
			Addrs: []string{"h1:7000", "h2:6379", "[2001:db8::1]:6379", "[::1]:7001"}, Username: "user", Password: "p@ss",
		},
		"rediss-cluster://:p%2Fass@h1,h2": {Addrs: []string{"h1:6379", "h2:6379"}, Password: "p/ass", TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}},
	} {
		got := openAll(t, url).Options()
		if !slices.Equal(got.Addrs, want.Addrs) || got.Username != want.Username || got.Password != want.Password {
			t.Errorf("%s: got %v as %q with %q", url, got.Addrs, got.Username, got.Password)
		}
		if got.PoolSize != 64 || !got.ContextTimeoutEnabled || got.ReadOnly || got.RouteByLatency || got.RouteRandomly {
			t.Errorf("%s: got %+v", url, got)
		}
		switch {
		case (got.TLSConfig == nil) != (want.TLSConfig == nil):
			t.Errorf("%s: TLS is %t", url, got.TLSConfig != nil)
		case got.TLSConfig != nil && (got.TLSConfig.InsecureSkipVerify || got.TLSConfig.ServerName != "" || got.TLSConfig.MinVersion != tls.VersionTLS12):
			t.Errorf("%s: not the name of each node is checked", url)
		}
	}
}

// TestOpenRedis_ReachesAClusterThroughOneNode: the URL names one node that runs and
// one that does not. The client finds the others, and the successor of a master.
func TestOpenRedis_ReachesAClusterThroughOneNode(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1, aUser("shop", "p@ss")...)
	rdb := openAll(t, "redis-cluster://shop:p%40ss@127.0.0.1:1,"+cluster.Nodes[4].Addr)
	used := func(key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := rdb.Set(ctx, key, "x", 0).Err(); err != nil {
			return err
		}
		return rdb.Get(ctx, key).Err()
	}
	for i := range 20 {
		if err := used(fmt.Sprint("key", i)); err != nil {
			t.Fatal(err)
		}
	}
	err := rdb.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		info, err := node.ClientInfo(ctx).Result()
		if err == nil && info.User != "shop" {
			err = errors.New("the user is " + info.User)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	old := cluster.MasterOf("key0")
	old.Kill()
	cluster.AwaitFailover(old)
	began := time.Now()
	for used("key0") != nil {
		if time.Since(began) > 30*time.Second { // without clusterRefresh it takes up to a minute
			t.Fatal("the client has not found the new master")
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestOpenRedis_ReachesAClusterOverTLS has a node that does not listen without TLS.
func TestOpenRedis_ReachesAClusterOverTLS(t *testing.T) {
	t.Parallel()
	dir, pool := certificates(t)
	addr := startTLSCluster(t, dir, pool)
	url := "rediss-cluster://shop:p%40ss@" + addr
	ping := func(roots *x509.CertPool) error {
		rdb := openAll(t, url)
		rdb.Options().TLSConfig.RootCAs = roots
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return rdb.Set(ctx, "key", "x", 0).Err()
	}
	if err := ping(pool); err != nil {
		t.Errorf("got %v", err)
	}
	if err := ping(nil); err == nil { // does not know who signed
		t.Error("the certificates are not verified")
	}
	node := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	defer node.Close()
	for _, set := range [][2]string{{"cluster-announce-hostname", "localhost"}, {"cluster-preferred-endpoint-type", "hostname"}} {
		if err := node.ConfigSet(t.Context(), set[0], set[1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := ping(pool); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("the certificate is not valid for the name that the node announces: %v", err)
	}
}

// startTLSCluster starts a cluster of one node that has all slots.
func startTLSCluster(t *testing.T, dir string, pool *x509.CertPool) (addr string) {
	t.Helper()
	addr = freeport.Addr(t)
	_, port, _ := net.SplitHostPort(addr)
	startConfigured(t, addr, pool, "", fmt.Sprintf("bind 127.0.0.1\nport 0\ntls-port %[1]s\n"+
		"tls-cert-file %[2]s/cert.pem\ntls-key-file %[2]s/key.pem\ntls-ca-cert-file %[2]s/cert.pem\ntls-auth-clients no\n"+
		"cluster-enabled yes\ncluster-port %[3]s\ntls-cluster yes\ncluster-announce-ip 127.0.0.1\n"+
		"user shop on >p@ss allkeys allcommands allchannels\n", port, dir, freeport.Port(t)))
	node := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	defer node.Close()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		info, err := node.ClusterInfo(t.Context()).Result()
		if strings.Contains(info, "cluster_state:ok") {
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster is not well: %v\n%s", err, info)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestEnqueue_WithoutAClusterFailsAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis-cluster://user:hunter2@127.0.0.1:1", "rediss-cluster://user:hunter2@127.0.0.1:1"} {
		client, err := NewClient(ClientConfig{RedisURL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		err = client.Enqueue(t.Context(), valid())
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1: connect: connection refused") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.14s: got %v", url, err)
		}
	}
}
