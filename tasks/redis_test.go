package tasks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redistest"
)

func open(t *testing.T, url string) *redis.Client {
	t.Helper()
	rdb, err := OpenRedis(url)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	t.Cleanup(func() { rdb.Close() })
	client, ok := rdb.(*redis.Client)
	if !ok {
		t.Fatalf("got a %T", rdb)
	}
	return client
}

func TestOpenRedis_ReadsAURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]redis.Options{
		"redis://localhost":                      {Network: "tcp", Addr: "localhost:6379"},
		"redis://localhost:6380/2":               {Network: "tcp", Addr: "localhost:6380", DB: 2},
		"redis://user:p%40ss@redis.example/1":    {Network: "tcp", Addr: "redis.example:6379", Username: "user", Password: "p@ss", DB: 1},
		"redis://:pass@[2001:db8::1]:6379":       {Network: "tcp", Addr: "[2001:db8::1]:6379", Password: "pass"},
		"redis://localhost/0?pool_size=7":        {Network: "tcp", Addr: "localhost:6379", PoolSize: 7},
		"rediss://user:pass@redis.example:6390":  {Network: "tcp", Addr: "redis.example:6390", Username: "user", Password: "pass"},
		"redis-socket:///run/redis.sock":         {Network: "unix", Addr: "/run/redis.sock", PoolSize: 64},
		"redis-socket://user:pass@/run/r s?db=3": {Network: "unix", Addr: "/run/r s", Username: "user", Password: "pass", DB: 3},
	} {
		got := open(t, url).Options()
		if got.Network != want.Network || got.Addr != want.Addr || got.Username != want.Username || got.Password != want.Password || got.DB != want.DB {
			t.Errorf("%s: got %s %s as %q with %q, database %d", url, got.Network, got.Addr, got.Username, got.Password, got.DB)
		}
		if want.PoolSize != 0 && got.PoolSize != want.PoolSize {
			t.Errorf("%s: a pool of %d", url, got.PoolSize)
		}
		if isTLS := strings.HasPrefix(url, "rediss:"); isTLS != (got.TLSConfig != nil) {
			t.Errorf("%s: TLS is %t", url, got.TLSConfig != nil)
		} else if isTLS && (got.TLSConfig.InsecureSkipVerify || got.TLSConfig.ServerName != "redis.example") {
			t.Errorf("%s: the server's name is not checked", url)
		}
	}
}

func TestOpenRedis_RefusesAndShowsNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "hunter2", "localhost:6379", "http://u:hunter2@localhost", "redis", "redis:hunter2", "unix:///run/redis.sock",
		"REDIS-CLUSTER://u:hunter2@localhost",
		"redis://u:hunter2@localhost:port", "redis://u:hunter2@localhost/one", "redis://u:hunter2@localhost/0?pool_size=hunter2",
		"redis://u:hunter2@localhost/0?unknown=hunter2", "redis://u:hunter2%zz@localhost", "redis://u:hunter2@local host",
		"rediss://u:hunter2@localhost/one",
		"redis-socket://u:hunter2@", "redis-socket://u:hunter2@/run/redis.sock?db=hunter2", "redis-socket://u:hunter2@/s?db=-1",
		"redis-socket://u:hunter2@/s?db=65536",
		"redis-sentinel://u:hunter2@h1,h2", "redis-sentinel://u:hunter2@h1/0?master=", "redis-sentinel://u:hunter2@?master=m",
		"redis-sentinel://u:hunter2@h1,,h2?master=m", "redis-sentinel://u:hunter2@h1,?master=m",
		"redis-sentinel://u:hunter2@h1/hunter2?master=m", "redis-sentinel://u:hunter2%zz@h1?master=m",
		"redis-sentinel://u:hunter2@h1/-1?master=m",
		// go-redis panics on these sizes, or takes all memory
		"redis://u:hunter2@localhost?pool_size=-1", "redis://u:hunter2@localhost?pool_size=99999999999",
		"redis://u:hunter2@localhost?pool_size=2147483647", "redis://u:hunter2@localhost?min_idle_conns=-1",
		"rediss://u:hunter2@localhost?pipeline_read_buffer_size=-1", "redis://u:hunter2@localhost?max_concurrent_dials=-1",
		// a password that is not escaped must not become an address
		"redis-sentinel://u:hunter2?x@h1&master=m", "redis-sentinel://u@h1:hunter2?master=m", "redis-sentinel://h1:0?master=m",
		"redis-sentinel://:1?master=m", "redis-sentinel://[::1]]?master=m",

		"redis-cluster://", "redis-cluster://u:hunter2@", "redis-cluster://u:hunter2@h1,,h2", "redis-cluster://u:hunter2@h1,",
		"redis-cluster://u:hunter2@h1:port", "redis-cluster://u:hunter2@h1:0", "redis-cluster://u:hunter2%zz@h1", "redis-cluster://u:hunter2@[::1]]",
		"redis-cluster://u:hunter2@h1/0", "rediss-cluster://u:hunter2@h1,h2/hunter2", "redis-cluster://u:hunter2@h1?pool_size=7",
		"redis-cluster://u:hunter2?x@h1", "redis-cluster://u:hunter2/x@h1", "redis-cluster://u:hunter2#x@h1", "redis-cluster://u:1234#x@h1",
		"redis-cluster://u:hunter2@h1#x", "redis-sentinel://u:1234#x@h1?master=m", "rediss-cluster://u:1234/x@h1", "rediss-cluster://u:1234?x@h1",
	} {
		rdb, err := OpenRedis(url)
		if err == nil {
			rdb.Close()
			t.Errorf("took %q", url)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
		if _, err := NewClient(ClientConfig{RedisURL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("NewClient of %q: %v", url, err)
		}
	}
}

// whoami returns the user, database and network of a client's connection.
func whoami(t *testing.T, rdb *redis.Client) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info, err := rdb.ClientInfo(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s in %d", info.User, info.DB)
}

// aUser are arguments for a redis-server with a user of that name.
func aUser(name, password string) []string {
	return []string{"--user", name, "on", ">" + password, "allkeys", "allcommands", "allchannels"}
}

func TestOpenRedis_ReachesARealRedis(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "redis.sock")
	server := redistest.Start(t, append(aUser("shop", "p@ss"), "--unixsocket", socket)...)
	for _, url := range []string{
		"redis://shop:p%40ss@" + server.Addr + "/3",
		"redis-socket://shop:p%40ss@" + socket + "?db=3",
	} {
		if got := whoami(t, open(t, url)); got != "shop in 3" {
			t.Errorf("%s: got %s", url, got)
		}
	}
}

// shortDir is short enough for a Unix socket, which TempDir may not be.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "iw") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestOpenRedis_ReachesARedisBehindSentinel: of the sentinels that the URL names
// the first is down, and both they and Redis ask for a password of their own.
func TestOpenRedis_ReachesARedisBehindSentinel(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, aUser("shop", "p@ss")...)
	sentinel := startSentinel(t, server.Addr, "x&y")
	url := "redis-sentinel://shop:p%40ss@127.0.0.1:1," + sentinel + "/1?master=m&sentinel_password=x%26y"
	rdb := open(t, url)
	if got := whoami(t, rdb); got != "shop in 1" || rdb.Options().PoolSize != 64 {
		t.Errorf("got %s, with a pool of %d", got, rdb.Options().PoolSize)
	}
}

// TestOpenRedis_ReachesARedisBehindSentinelOverTLS has neither Redis nor Sentinel
// listen without TLS.
func TestOpenRedis_ReachesARedisBehindSentinelOverTLS(t *testing.T) {
	t.Parallel()
	dir, pool := certificates(t)
	redisAddr := freeport.Addr(t)
	_, port, _ := net.SplitHostPort(redisAddr)
	files := fmt.Sprintf("tls-cert-file %[1]s/cert.pem\ntls-key-file %[1]s/key.pem\ntls-ca-cert-file %[1]s/cert.pem\ntls-auth-clients no\ntls-replication yes\n", dir)
	startConfigured(t, redisAddr, pool, "", "bind 127.0.0.1\nport 0\ntls-port "+port+"\nuser shop on >p@ss allkeys allcommands allchannels\n"+files)
	sentinel := freeport.Addr(t)
	_, own, _ := net.SplitHostPort(sentinel)
	startConfigured(t, sentinel, pool, "x&y", "bind 127.0.0.1\nport 0\ntls-port "+own+"\nrequirepass x&y\nsentinel monitor m 127.0.0.1 "+port+" 1\n"+files, "--sentinel")
	rdb := open(t, "rediss-sentinel://shop:p%40ss@"+sentinel+"/1?master=m&sentinel_password=x%26y")
	rdb.Options().TLSConfig.RootCAs = pool
	if got := whoami(t, rdb); got != "shop in 1" {
		t.Errorf("got %s", got)
	}
	stranger := open(t, "rediss-sentinel://shop:p%40ss@"+sentinel+"/1?master=m&sentinel_password=x%26y") // does not know who signed
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := stranger.Ping(ctx).Err(); err == nil {
		t.Error("the certificates are not verified")
	}
}

// certificates makes cert.pem and key.pem for 127.0.0.1 in a directory.
func certificates(t *testing.T) (dir string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return dir, pool
}

// startConfigured starts a redis-server that speaks TLS, and waits until it answers.
func startConfigured(t *testing.T, addr string, pool *x509.CertPool, password, text string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not on the PATH, and in CI it is required")
		}
		t.Skip("redis-server is not on the PATH")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(conf, []byte("dir "+dir+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", append([]string{conf}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	rdb := redis.NewClient(&redis.Options{Addr: addr, Password: password, MaxRetries: -1, TLSConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	defer rdb.Close()
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := rdb.Ping(t.Context()).Err()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not answer over TLS: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func startSentinel(t *testing.T, redisAddr, password string) (addr string) {
	t.Helper()
	addr = freeport.Addr(t)
	host, port, _ := net.SplitHostPort(redisAddr)
	_, own, _ := net.SplitHostPort(addr)
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind 127.0.0.1\nport %s\ndir %s\nrequirepass %s\nsentinel monitor m %s %s 1\n", own, dir, password, host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	rdb := redis.NewSentinelClient(&redis.Options{Addr: addr, Password: password, MaxRetries: -1})
	defer rdb.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		err := rdb.Ping(t.Context()).Err()
		if err == nil {
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sentinel did not start: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestOpenRedis_TriesSentinelsOnTheirOwnPort listens where a sentinel is that
// the URL gives no port.
func TestOpenRedis_TriesSentinelsOnTheirOwnPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.83:26379")
	if err != nil {
		t.Skip("this machine lets nobody listen on 127.0.0.83:26379")
	}
	defer listener.Close()
	dialled := make(chan struct{})
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close()
			close(dialled)
		}
	}()
	rdb := open(t, "redis-sentinel://127.0.0.83?master=m")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _ = rdb.Ping(ctx).Err() }()
	select {
	case <-dialled:
	case <-ctx.Done():
		t.Error("port 26379 was not dialled")
	}
}
