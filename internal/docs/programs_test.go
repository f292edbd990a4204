package docs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// binaries are the built programs of README.md, by name.
var binaries sync.Map

// goProgram builds a Go program of README.md once and returns the binary.
func goProgram(t *testing.T, name string) string {
	t.Helper()
	source := program(t, "go", name)
	dir := identwatch(t)
	build, _ := binaries.LoadOrStore(name, sync.OnceValues(func() (string, error) { return goBuild(dir, name, source) }))
	binary, err := build.(func() (string, error))()
	if err != nil {
		t.Fatalf("building %s: %v", name, err)
	}
	return binary
}

// goBuild builds a program as a package of this module, without writing into it.
func goBuild(dir, name, source string) (binary string, err error) {
	module, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	overlay := filepath.Join(dir, name+".json")
	replace, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(module, "internal", "docs", "program", "main.go"): file},
	})
	if err == nil {
		err = errors.Join(os.WriteFile(file, []byte(source), 0o600), os.WriteFile(overlay, replace, 0o600))
	}
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, strings.TrimSuffix(name, ".go"))
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", binary, "./internal/docs/program")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
}

func TestPrograms_AreFormattedAndBuild(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, source := range blocks(t, "go") {
		name, _, _ := strings.Cut(strings.TrimPrefix(source, "// "), "\n")
		names[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goProgram(t, name)
			gofmt := exec.Command("gofmt", "-l")
			gofmt.Stdin = strings.NewReader(source)
			if out, err := gofmt.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("gofmt would change it: %s %v", out, err)
			}
		})
	}
	for _, name := range []string{"enqueue.go", "enqueue-asynq.go", "receiver.go"} {
		if !names[name] {
			t.Errorf("README.md has no %s", name)
		}
	}
}

// aRedis returns a Redis on a port: a real one, or where there is none the
// embedded one.
func aRedis(t *testing.T) (url string, rdb *redis.Client) {
	t.Helper()
	if redistest.Available(t) {
		s := redistest.Start(t)
		return s.URL(), s.Client()
	}
	m := miniredis.RunT(t)
	rdb = redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { rdb.Close() })
	return "redis://" + m.Addr() + "/0", rdb
}

// enqueued returns the session that waits in Redis.
func enqueued(t *testing.T, rdb *redis.Client, token string) session.Job {
	t.Helper()
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(queue.Follow, "default:"+token)
	if err != nil {
		t.Fatalf("%s: %v", token, err)
	}
	got, err := queue.Decode(info.Payload)
	if err != nil || info.State != asynq.TaskStatePending {
		t.Fatalf("%s: %v, %+v", token, err, info)
	}
	return got
}

func TestEnqueueProgram_HasTheSessionFollowed(t *testing.T) {
	t.Parallel()
	got := runEnqueueProgram(t, "enqueue.go")
	if got.Method != tasks.SmartID || got.Reference != "order-1842" || len(got.Checks) != 2 || got.StartedAt.IsZero() ||
		got.CallbackURL != "https://shop.example/webhooks/identwatch" {
		t.Errorf("got %+v", got)
	}
}

func TestEnqueueProgram_WithAsynqAlone(t *testing.T) {
	t.Parallel()
	if got := runEnqueueProgram(t, "enqueue-asynq.go"); got.Method != tasks.MobileID {
		t.Errorf("got %+v", got)
	}
}

// runEnqueueProgram runs it well, twice with the same token, with a bad one,
// and without a Redis.
func runEnqueueProgram(t *testing.T, name string) session.Job {
	t.Helper()
	binary := goProgram(t, name)
	url, rdb := aRedis(t)
	run := func(url, token string) (string, error) {
		cmd := exec.Command(binary, token)
		cmd.Env = append(os.Environ(), "REDIS_URL="+url)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for range 2 {
		if out, err := run(url, "1c5cd62c"); err != nil || out != "" {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := run(url, "a/b"); err == nil || !strings.Contains(out, "token may hold") {
		t.Errorf("a bad token: %v\n%s", err, out)
	}
	if out, err := run("redis://:hunter2@127.0.0.1:1/0", "1c5cd62c"); err == nil || strings.Contains(out, "hunter2") {
		t.Errorf("without Redis: %v\n%s", err, out)
	}
	return enqueued(t, rdb, "1c5cd62c")
}
