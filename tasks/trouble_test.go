package tasks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// silentServer takes connections and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener.Addr().String()
}

// hasty enqueues with little time, and fails if that takes a minute: go-redis's own
// limits are longer here, so that no busy machine is taken for a call without end.
func hasty(t *testing.T, what string, client *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	returned := make(chan error, 1)
	go func() { returned <- client.Enqueue(ctx, valid()) }()
	<-ctx.Done()
	select {
	case err := <-returned:
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Redis did not answer within the time of the call") {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(time.Minute):
		t.Errorf("%s: it does not return", what)
	}
}

func TestEnqueue_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	addr := silentServer(t)
	const slow = "?read_timeout=10m&write_timeout=10m&dial_timeout=10m&pool_timeout=10m"
	for _, url := range []string{"redis://" + addr + slow, "rediss://" + addr + slow, "redis-sentinel://" + addr + "?master=m", "rediss-sentinel://" + addr + "?master=m"} {
		client, err := NewClient(ClientConfig{RedisURL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		hasty(t, url, client)
	}
	rdb := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: 10 * time.Minute}) // the application's own
	defer rdb.Close()
	hasty(t, "a client of the application", newClient(t, rdb))
}

// The task is known, so that asynq's inspector is asked, which takes no context.
func TestEnqueue_OfAKnownSessionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, err := NewClient(ClientConfig{RedisURL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Enqueue(t.Context(), valid()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	defer close(ended)
	client.redis.AddHook(hanging{ended})
	hasty(t, "the inspector", client)
}

// hanging lets nothing that the inspector asks be answered until the test ends.
type hanging struct{ ended chan struct{} }

func (hanging) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hanging) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ctx.Done() == nil { // context.Background, as the inspector has it
			<-h.ended
		}
		return next(ctx, cmd)
	}
}

func (hanging) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestEnqueue_SaysWhatToDoAboutRedis(t *testing.T) {
	t.Parallel()
	full := redistest.Start(t, "--maxmemory", "1", "--requirepass", "geheim")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", "1")
	socket := filepath.Join(shortDir(t), "none.sock")
	for url, want := range map[string]string{
		"redis://u:geheim2@127.0.0.1:1/0":               "Redis cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused; see that it runs",
		"redis-socket://u:geheim2@" + socket:            "Redis cannot be reached: dial unix " + socket,
		"redis://" + full.Addr + "/0":                   "Redis refuses: NOAUTH Authentication required.; write its password into the URL",
		"redis://u:geheim2@" + full.Addr + "/0":         "check the user and the password in the URL",
		"redis://:geheim@" + full.Addr + "/0":           "it is full: give it more memory",
		"redis://" + replica.Addr + "/0":                "it is a replica: name the primary or the sentinels in the URL",
		"redis-sentinel://:geheim@127.0.0.1:1?master=m": "127.0.0.1:1: connect: connection refused",
	} {
		client, err := NewClient(ClientConfig{RedisURL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		err = client.Enqueue(t.Context(), valid())
		if err == nil || !strings.HasPrefix(err.Error(), "enqueueing the session: Redis ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			continue
		}
		for _, hidden := range []string{"geheim", "UNKNOWN", "SADD", "redis://"} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("it shows %s: %v", hidden, err)
			}
		}
		if strings.Contains(want, "refused") && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the cause is lost: %v", err)
		}
	}
}

// The client has enqueued before, so asynq returns only the error of the script.
func TestEnqueue_SaysWhatToDoWhenRedisNoLongerTakesAny(t *testing.T) {
	t.Parallel()
	for want, change := range map[string][]any{
		"Redis refuses: OOM command not allowed when used memory > 'maxmemory'.; it is full: give it more memory": {"CONFIG", "SET", "maxmemory", "1"},
		"it is a replica: name the primary or the sentinels in the URL":                                           {"REPLICAOF", "127.0.0.1", "1"},
	} {
		server := redistest.Start(t)
		client, err := NewClient(ClientConfig{RedisURL: server.URL()})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if err := client.Enqueue(t.Context(), valid()); err != nil {
			t.Fatal(err)
		}
		if err := client.redis.Do(t.Context(), change...).Err(); err != nil {
			t.Fatal(err)
		}
		other := valid()
		other.Token = "other"
		if err := client.Enqueue(t.Context(), other); err == nil || !strings.HasPrefix(err.Error(), "enqueueing the session: Redis refuses: ") ||
			!strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestEnqueue_ThatEndsWithItsContextSaysWhyNothingWasDialled(t *testing.T) {
	t.Parallel()
	client, err := NewClient(ClientConfig{RedisURL: "redis://127.0.0.1:1/0?max_retries=-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Enqueue(t.Context(), valid()); err == nil {
		t.Fatal("enqueued without Redis")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err = client.Enqueue(ctx, valid())
	if !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "within the time of the call (dial tcp 127.0.0.1:1: connect: connection refused); see that it runs") {
		t.Error(err)
	}
}

// TestEnqueue_WritesNothing runs itself as an application without a Redis, and
// looks at what go-redis writes.
func TestEnqueue_WritesNothing(t *testing.T) {
	t.Parallel()
	if os.Getenv("IDENTWATCH_TEST_APPLICATION") != "" {
		client, err := NewClient(ClientConfig{RedisURL: "redis://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Enqueue(t.Context(), valid()); err == nil {
			t.Error("enqueued without Redis")
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnqueue_WritesNothing$")
	cmd.Env = append(os.Environ(), "IDENTWATCH_TEST_APPLICATION=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: %s", err, &stderr)
	}
}
