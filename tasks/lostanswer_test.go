package tasks

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// lossy is a network to Redis that, once it is told to, lets a command through
// and breaks the connection instead of bringing back the answer.
type lossy struct {
	net.Listener
	redis string
	lose  atomic.Pointer[string] // what the command holds whose answer is lost, once
	lost  atomic.Int32
}

func newLossy(t *testing.T, redisAddr string) *lossy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: listener, redis: redisAddr}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
	return l
}

func (l *lossy) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.redis)
	if err != nil {
		return
	}
	defer server.Close()
	var doomed atomic.Bool
	go func() {
		defer server.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			marked := l.lose.Load()
			doomed.Store(marked != nil && bytes.Contains(buffer[:n], []byte(*marked)))
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if doomed.Load() && bytes.HasPrefix(buffer[:n], []byte(":1\r\n")) { // the script did its work
			l.lose.Store(nil)
			l.lost.Add(1)
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// TestEnqueue_AfterALostAnswerSaysDuplicate: the caller that was told of an
// error repeats the call, and learns that the session is in.
func TestEnqueue_AfterALostAnswerSaysDuplicate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	network := newLossy(t, server.Addr)
	rdb := redis.NewClient(&redis.Options{Addr: network.Addr().String(), MaxRetries: -1})
	defer rdb.Close()
	client, s := newClient(t, rdb), valid()
	token := s.Token
	network.lose.Store(&token)

	if err := client.Enqueue(t.Context(), s); err == nil || errors.Is(err, ErrDuplicate) {
		t.Errorf("with the answer lost: %v", err)
	}
	if network.lost.Load() != 1 {
		t.Fatal("no answer was lost")
	}
	if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
		t.Errorf("repeated: %v", err)
	}
	checkOneTask(t, server, s)
}

// TestEnqueue_WhoseAnswerGoRedisLosesSaysDuplicateAtOnce: go-redis repeats the
// command by itself unless it is told not to.
func TestEnqueue_WhoseAnswerGoRedisLosesSaysDuplicateAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	network := newLossy(t, server.Addr)
	client, err := NewClient(ClientConfig{RedisURL: "redis://" + network.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := valid()
	token := s.Token
	network.lose.Store(&token)

	if err := client.Enqueue(t.Context(), s); !errors.Is(err, ErrDuplicate) {
		t.Errorf("with the answer lost: %v", err)
	}
	if network.lost.Load() != 1 {
		t.Fatal("no answer was lost")
	}
	checkOneTask(t, server, s)
}

func checkOneTask(t *testing.T, server *redistest.Server, s Session) {
	t.Helper()
	rdb := server.Client()
	if got := state(t, rdb, s).State; got != asynq.TaskStatePending {
		t.Errorf("the task is %v", got)
	}
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(queue.Follow)
	if err != nil || info.Size != 1 || info.Pending != 1 {
		t.Errorf("the queue: %+v, error %v", info, err)
	}
}
