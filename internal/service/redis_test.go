package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/freeport"
	"github.com/identwatch/identwatch/internal/redisinfo"
	"github.com/identwatch/identwatch/internal/redistest"
)

// answer is an error that Redis answered.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestRefusedByRedis_TellsRefusalsFromTrouble(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{answer("WRONGPASS invalid username-password pair or user is disabled."), true},
		{answer("NOAUTH Authentication required."), true},
		{answer("NOPERM this user has no permissions to run the 'ping' command"), true},
		{answer("ERR DB index is out of range"), true},
		{answer("DENIED Redis is running in protected mode"), true},
		{fmt.Errorf("wrapped: %w", answer("NOAUTH Authentication required.")), true},
		{answer("LOADING Redis is loading the dataset in memory"), false},
		{answer("CLUSTERDOWN Hash slot not served"), false},
		{errors.Join(fmt.Errorf("127.0.0.1:1: %w", answer("CLUSTERDOWN The cluster is down")), io.EOF), false},
		{answer("MASTERDOWN Link with MASTER is down"), false},
		{answer("ERR max number of clients reached"), false},
		{fmt.Errorf("all sentinels are unreachable: %w", redis.Nil), false},
		{io.EOF, false},
		{errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), false},
	} {
		if got := refusedByRedis(test.err); got != test.want {
			t.Errorf("%v: got %t, want %t", test.err, got, test.want)
		}
	}
}

func TestFindRedis_ReturnsWhenToldToStop(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	if unsafe, err := findRedis(ctx, rdb, nil); err != nil || unsafe != nil {
		t.Errorf("got %v, %v", unsafe, err)
	}
}

func TestFindRedis_GoesOnIfOneMasterOfAClusterAnswers(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	rdb := cluster.Client()
	cluster.Nodes[1].Kill()
	var log bytes.Buffer
	unsafe, err := findRedis(t.Context(), rdb, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || len(unsafe) != 1 || !strings.Contains(unsafe[0].Problem, "appendonly is off") {
		t.Errorf("got %v, %v", unsafe, err)
	}
	if got := log.String(); strings.Count(got, "does not answer") != 1 || !strings.Contains(got, cluster.Nodes[1].Addr) {
		t.Errorf("the log is %s", got)
	}
}

// A cluster is not there until its nodes have slots.
func TestFindRedis_WaitsForACluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Port(t), "--appendonly", "yes")
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}})
	defer rdb.Close()
	waits := &notice{said: make(chan string, 1)}
	found := make(chan error, 1)
	go func() {
		unsafe, err := findRedis(t.Context(), rdb, slog.New(slog.NewTextHandler(waits, nil)))
		if err == nil && len(unsafe) != 0 {
			err = fmt.Errorf("unsafe: %v", unsafe)
		}
		found <- err
	}()
	if said := <-waits.said; !strings.Contains(said, "cannot be reached") || !strings.Contains(said, "no master yet") {
		t.Errorf("the log is %s", said)
	}
	if err := server.Client().ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// notice is a log of which only the first line counts.
type notice struct{ said chan string }

func (n *notice) Write(line []byte) (int, error) {
	select {
	case n.said <- string(line):
	default:
	}
	return len(line), nil
}

func TestFindRedis_SaysWhichSchemeIsWrong(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{redistest.Start(t).Addr}})
	defer rdb.Close()
	if _, err := findRedis(t.Context(), rdb, nil); !errors.Is(err, redisinfo.ErrNotCluster) || strings.Contains(err.Error(), "password") {
		t.Errorf("got %v", err)
	}
	one := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Port(t)).Client()
	if _, err := findRedis(t.Context(), one, nil); err == nil || !strings.Contains(err.Error(), "use redis-cluster://") {
		t.Errorf("got %v", err)
	}
}
