package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"os/exec"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/queue"
)

// plan starts two processes that cannot reach MarkSign, and sets what is done to
// the world, one after the other: Redis is full, read-only and down, seals are
// spoiled, and a process comes and goes that has another key.
func (p *personalWorld) plan(first *process) {
	second := time.Second
	lost := p.start("MARKSIGN_URL=https" + strings.TrimPrefix(listen(p.t, p.markSign), "http")) // which is no TLS
	deaf := p.start("MARKSIGN_URL=http://127.0.0.1:1")
	lost.awaitReady()
	deaf.awaitReady()
	var stranger *process
	otherKey := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	config := func(name, value string) { p.rdb.ConfigSet(p.ctx, name, value) }
	p.at = []moment{
		{3 * second, func() { lost.terminate(); deaf.terminate() }},
		{second, func() { config("maxmemory", "1") }},
		{second, func() { config("maxmemory", "0") }},
		{second, func() { p.rdb.Do(p.ctx, "REPLICAOF", "127.0.0.1", "1") }},
		{second, func() { p.rdb.Do(p.ctx, "REPLICAOF", "NO", "ONE") }},
		{2 * second, p.redis.Kill},
		{second, p.redis.Restart},
		{3 * second, func() { first.terminate(); p.start("LOG_FORMAT=text") }},
		{5 * second, p.spoilSeals},
		{second, p.hurry}, // while every process has the key that opens what was not spoiled
		{6 * second, func() { stranger = p.start("OUTCOME_KEYS=" + otherKey) }},
		{second, p.hurry},
		{second, p.hurry},
		{second, p.hurry},
		{second, p.hurry},
		{second, p.hurry},
		{second, p.hurry},
		{second, func() { stranger.terminate() }},
		{second, p.hurry},
		{2 * second, p.hurry},
		{2 * second, p.hurry},
	}
}

// start starts a process that differs from the others, and does not wait for it.
func (p *personalWorld) start(settings ...string) *process {
	p.t.Helper()
	process := p.prepare(append(append([]string(nil), p.settings...), settings...)...)
	process.start()
	return process
}

// hurry runs the tasks of the slow queues early.
func (p *personalWorld) hurry() {
	for _, queue := range []string{queue.Deliver, queue.Remove} {
		_, _ = p.tasks.RunAllScheduledTasks(queue)
		_, _ = p.tasks.RunAllRetryTasks(queue)
	}
}

// spoilSeals changes one sealed result, and gives one session another's.
func (p *personalWorld) spoilSeals() {
	p.t.Helper()
	seal := func(token string) (key string, sealed []byte) {
		key = "identwatch:default:" + token + ":sealed"
		sealed, err := p.rdb.Get(p.ctx, key).Bytes()
		if err != nil {
			p.t.Fatalf("%s has no seal to spoil: %v", token, err)
		}
		return key, sealed
	}
	key, sealed := seal("tampered-00000")
	sealed[len(sealed)-1] ^= 1
	p.rdb.Set(p.ctx, key, sealed, time.Hour)
	_, other := seal("swapped-00001")
	key, _ = seal("swapped-00000")
	p.rdb.Set(p.ctx, key, other, time.Hour)
}

// commands runs those that tell of a running service, and keeps what they say.
func (p *personalWorld) commands() {
	p.t.Helper()
	service := p.processes[1]
	environment := []string{
		"REDIS_URL=" + p.redis.URL(), "LISTEN=" + service.awaitListening(), "WEBHOOK_SECRETS=" + p.secrets.webhook,
		"MARKSIGN_ACCESS_TOKEN=" + p.secrets.accessToken, "TASK_KEYS=" + p.secrets.task,
	}
	p.command(environment, "health", "--ready")
	p.command(environment, "enqueue", "plain-00000", "not/a/token")
	p.command(append(environment, "REDIS_URL=redis://:"+p.secrets.accessToken+"@127.0.0.1:1"), "enqueue", "token-1")
	p.command(append(environment, "REDIS_URL=redis://:"+p.secrets.accessToken+"@host:port"), "serve")
	p.receive(environment)
}

func (p *personalWorld) command(environment []string, args ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment
	out, _ := cmd.CombinedOutput()
	p.said.Write(out)
}

// receive has identwatch's own receiver take the event of one more session.
// Without --full it may not show it.
func (p *personalWorld) receive(environment []string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "receive", "--listen", "127.0.0.1:0")
	cmd.Env = environment
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.said.WriteString(lines.Text() + "\n")
		if _, rest, found := strings.Cut(lines.Text(), "receiver at "); found {
			url, _, _ := strings.Cut(rest, ": ")
			p.enqueue(p.begin("received", 1, marked("", 0)), "--check=peps,sanctions", "--callback="+url+"/x")
		}
		if strings.Contains(lines.Text(), "received-00000") {
			break
		}
	}
	cancel()
	_ = cmd.Wait()
	p.said.Write(complaints.Bytes())
}
