package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
)

// outside is what a side works against, new for each turn.
type outside struct {
	sim            *marksim.Simulator
	marksign, sink *httptest.Server
	certificate    string // the file of the certificate that both servers have

	redis     *exec.Cmd
	redisAddr string

	mu      sync.Mutex
	posts   map[string]time.Time // the first of each session
	removed int
	done    chan struct{} // closed when all sessions are removed
}

func newOutside(ctx context.Context, p plan, dir string) (*outside, error) {
	o := &outside{posts: map[string]time.Time{}, done: make(chan struct{}), certificate: filepath.Join(dir, "certificate.pem")}
	o.sim = marksim.New(marksim.Options{Seed: 1, OnEvent: func(e marksim.Event) {
		if e.Kind == marksim.Removed {
			o.sawRemoval(p.sessions)
		}
	}})
	o.marksign = o.listen(p, o.sim)
	o.sink = o.listen(p, http.HandlerFunc(o.receive))
	if p.tls {
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.sink.Certificate().Raw})
		if err := os.WriteFile(o.certificate, block, 0o600); err != nil {
			return o, err
		}
	}
	return o, o.startRedis(ctx, dir)
}

func (o *outside) listen(p plan, h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	if p.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	return server
}

// startRedis starts a redis-server with the options of docker-compose.yml.
func (o *outside) startRedis(ctx context.Context, dir string) error {
	data, err := os.MkdirTemp(dir, "redis-")
	if err != nil {
		return err
	}
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	o.redisAddr = free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(o.redisAddr)
	o.redis = exec.CommandContext(ctx, "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", data, //nolint:gosec // arguments of our own
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--logfile", filepath.Join(data, "redis.log"))
	if err := o.redis.Start(); err != nil {
		return fmt.Errorf("this needs redis-server: %w", err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: o.redisAddr})
	defer rdb.Close() //nolint:errcheck // a client for a moment
	for range 100 {
		if err = rdb.Ping(ctx).Err(); err == nil {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	return fmt.Errorf("redis-server does not answer: %w", err)
}

func (o *outside) close() {
	o.marksign.Close()
	o.sink.Close()
	if o.redis != nil && o.redis.Process != nil {
		_ = o.redis.Process.Kill()
		_ = o.redis.Wait()
	}
}

func (o *outside) receive(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Data struct {
			Token string `json:"token"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	if _, again := o.posts[event.Data.Token]; !again {
		o.posts[event.Data.Token] = time.Now()
	}
	o.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (o *outside) sawRemoval(all int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.removed++; o.removed == all {
		close(o.done)
	}
}

// begin starts a session whose outcome is there at its last poll but for a second at
// most, and returns its token.
func (o *outside) begin(p plan, number int) string {
	token := "cost-" + strconv.Itoa(number)
	last := time.Duration(p.polls-1) * time.Second
	o.sim.Add(token, marksim.SmartID, marksim.Person{
		Name: "VARDENIS", Surname: "PAVARDENIS", Code: "39901011234", Country: "LT", AfterMin: last - time.Second, AfterMax: last,
	})
	return token
}

var errUnfinished = errors.New("not every session was removed in time")

// await returns when all sessions are removed.
func (o *outside) await(ctx context.Context, within time.Duration) error {
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(within):
		return errUnfinished
	}
}

// observe writes what MarkSign and the receiver saw of a session.
func (o *outside) observe(token string, t *turn, sessions int) {
	s, _ := o.sim.Session(token)
	o.mu.Lock()
	posted := o.posts[token]
	o.mu.Unlock()
	t.polls += float64(s.Polls) / float64(sessions)
	t.firstPoll = append(t.firstPoll, s.FirstPollAt.Sub(s.StartedAt))
	t.detected = append(t.detected, s.FinalSeenAt.Sub(s.FinalAt))
	t.posted = append(t.posted, posted.Sub(s.FinalSeenAt))
}
