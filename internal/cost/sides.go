package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// side is one way to follow sessions, in a process of its own.
type side struct {
	name    string
	program []string // what runs; this program if there is none
	// enqueuer returns what gives the process a session.
	enqueuer func(o *outside, stdin io.Writer) (enqueue func(ctx context.Context, token string) error, err error)
}

// chosen are the sides asked for. The first is what the others are compared with.
func chosen(names []string, older, binary string) ([]side, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	known := map[string]side{
		"bare":       {"bare", []string{self, "loop", "bare"}, byLine},
		"blocked":    {"blocked", []string{self, "loop", "blocked"}, byAsynq},
		"identwatch": {"identwatch", []string{binary, "serve"}, byClient},
	}
	var sides []side
	for _, name := range names {
		s, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("%q is none of bare, identwatch and blocked", name)
		}
		sides = append(sides, s)
	}
	if older != "" {
		sides = append(sides, side{"older", []string{older, "serve"}, byClient})
	}
	return sides, nil
}

func byLine(_ *outside, stdin io.Writer) (func(context.Context, string) error, error) {
	return func(_ context.Context, token string) error {
		_, err := fmt.Fprintln(stdin, token)
		return err
	}, nil
}

func byAsynq(o *outside, _ io.Writer) (func(context.Context, string) error, error) {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: o.redisAddr})
	return func(ctx context.Context, token string) error {
		_, err := client.EnqueueContext(ctx, asynq.NewTask(blockedTask, []byte(token)), asynq.TaskID(token), asynq.MaxRetry(10), asynq.Timeout(time.Hour), asynq.Retention(time.Hour))
		return err
	}, nil
}

func byClient(o *outside, _ io.Writer) (func(context.Context, string) error, error) {
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: redis.NewClient(&redis.Options{Addr: o.redisAddr})})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, token string) error {
		return client.Enqueue(ctx, tasks.Session{Token: token, Method: tasks.SmartID})
	}, nil
}

// process is a side at work.
type process struct {
	cmd     *exec.Cmd
	enqueue func(context.Context, string) error
	counter *counter
}

// start starts a side and returns when it is ready. Its Redis is behind a counter of
// commands.
func (s side) start(ctx context.Context, o *outside) (*process, error) {
	counter, err := newCounter(ctx, o.redisAddr)
	if err != nil {
		return nil, err
	}
	listen, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.program[0], s.program[1:]...) //nolint:gosec // a program of our own
	cmd.Stderr = io.Discard
	cmd.Env = append(os.Environ(),
		"REDIS_URL=redis://"+counter.listener.Addr().String(), "MARKSIGN_URL="+o.marksign.URL, "MARKSIGN_ACCESS_TOKEN=cost",
		"CALLBACK_URL="+o.sink.URL, "CALLBACK_ALLOW_HTTP=true", "CALLBACK_ALLOW_NETWORKS=127.0.0.0/8", "SSL_CERT_FILE="+o.certificate,
		"WEBHOOK_SECRETS="+webhook.NewSecret().Encode(), "OUTCOME_KEYS="+base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32]),
		"POLL_PACE=1s", "LISTEN="+listen, "LOG_LEVEL=info")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, counter: counter}
	if p.enqueue, err = s.enqueuer(o, stdin); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return p, awaitReady(ctx, listen)
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.counter.listener.Close()
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func awaitReady(ctx context.Context, listen string) error {
	var last error
	for range 200 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("it answers %s", resp.Status)
		}
		last = err
		pause(ctx, 50*time.Millisecond)
	}
	return fmt.Errorf("the process did not become ready: %w", last)
}

// warmUp is how long a process runs before it is measured, and settling how long
// after the last DELETE, so that what it still writes is counted.
const warmUp, settling = time.Second, 2 * time.Second

// turn has a side follow all sessions once.
func (p plan) turn(ctx context.Context, s side, dir string) (t turn, err error) {
	o, err := newOutside(ctx, p, dir)
	defer o.close()
	if err != nil {
		return t, err
	}
	running, err := s.start(ctx, o)
	if running != nil {
		defer running.stop()
	}
	if err != nil {
		return t, err
	}
	pause(ctx, warmUp)
	before, err := running.usage(o)
	if err != nil {
		return t, err
	}
	tokens, err := p.enqueueAll(ctx, o, running)
	if err == nil {
		err = o.await(ctx, time.Duration(p.polls)*time.Second+time.Minute)
	}
	if err != nil {
		return t, err
	}
	pause(ctx, settling)
	if t, err = running.usage(o); err != nil {
		return t, err
	}
	t.worker, t.redis, t.commands = t.worker-before.worker, t.redis-before.redis, t.commands-before.commands
	for _, token := range tokens {
		o.observe(token, &t, p.sessions)
	}
	return t, nil
}

// usage is what a side used since it started.
func (p *process) usage(o *outside) (t turn, err error) {
	worker, err := usageOf(p.cmd.Process.Pid)
	if err != nil {
		return t, err
	}
	server, err := usageOf(o.redis.Process.Pid)
	return turn{worker: worker.processor, redis: server.processor, memory: worker.memory, commands: p.counter.commands.Load()}, err
}

// enqueueAll begins the sessions evenly, and gives each to the process.
func (p plan) enqueueAll(ctx context.Context, o *outside, running *process) (tokens []string, err error) {
	begun := time.Now()
	for i := range p.sessions {
		pause(ctx, time.Until(begun.Add(p.over*time.Duration(i)/time.Duration(p.sessions))))
		token := o.begin(p, i)
		if err := running.enqueue(ctx, token); err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}
