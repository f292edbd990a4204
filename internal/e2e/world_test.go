package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redisnode"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// secrets are those of a world, as its processes are configured with them.
type secrets struct {
	accessToken, webhook, signing, outcome, task string
}

// world is what a test's processes live in: a redis-server, the simulated
// MarkSign and a receiver, each of its own.
type world struct {
	t         *testing.T
	ctx       context.Context
	redis     *redistest.Server // nil on a Redis Cluster
	url       string            // of Redis, or of the cluster
	shards    session.Shards
	rdb       redis.UniversalClient
	client    *tasks.Client
	tasks     *asynq.Inspector
	sim       *marksim.Simulator
	snapshot  func(token string) marksim.Snapshot // of the simulator in use
	calls     *calls
	receiver  *receiver
	secrets   secrets
	enqueuing []string // settings of `identwatch enqueue`, beside REDIS_URL
	processes []*process
}

func newWorld(t *testing.T, redisArgs ...string) *world {
	t.Helper()
	server := redistest.Start(t, redisArgs...)
	return newWorldOn(t, server, server.Client())
}

// newWorldOn is newWorld on a Redis that runs already. The client may reach more
// than the one server.
func newWorldOn(t *testing.T, server *redistest.Server, rdb redis.UniversalClient) *world {
	t.Helper()
	w := newWorldAt(t, server.URL(), rdb)
	w.redis = server
	return w
}

// newWorldAt is newWorld on whatever Redis a REDIS_URL names.
func newWorldAt(t *testing.T, url string, rdb redis.UniversalClient) *world {
	t.Helper()
	secret, key := webhook.NewSecret(), webhook.NewSigningKey()
	w := &world{
		t: t, ctx: context.Background(), url: url, rdb: rdb, calls: newCalls(),
		secrets: secrets{
			accessToken: "access-token-" + rand.Text(), webhook: secret.Encode(), signing: key.Encode(),
			outcome: base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:32]),
			task:    tasks.NewPayloadKey().Encode(),
		},
	}
	var err error
	if w.shards, err = shards.New(0, rdb); err != nil {
		t.Fatal(err)
	}
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: w.rdb})
	if err != nil {
		t.Fatal(err)
	}
	w.client, w.tasks = client, asynq.NewInspectorFromRedisClient(w.rdb)
	w.sim = marksim.New(marksim.Options{AccessToken: w.secrets.accessToken, Seed: 1})
	w.snapshot = func(token string) marksim.Snapshot { s, _ := w.sim.Session(token); return s }
	w.receiver = newReceiver(webhook.Verifier{Secrets: []webhook.Secret{secret}, PublicKeys: []webhook.PublicKey{key.Public()}})
	return w
}

// listen serves a handler on a free port until the test ends, and returns its URL.
func listen(t *testing.T, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

// begin starts n sessions at MarkSign that end as the person does, and returns
// their tokens.
func (w *world) begin(prefix string, n int, person marksim.Person) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%05d", prefix, i)
		w.sim.Add(list[i], marksim.SmartID, person)
	}
	return list
}

// confirms is a person who confirms between two times after the start.
func confirms(from, to time.Duration) marksim.Person {
	return marksim.Person{
		Name: "VARDENIS", Surname: "PAVARDENIS", Code: "39901011234", Country: "LT", AfterMin: from, AfterMax: to,
	}
}

// waits is a person who does nothing until the test says so.
func waits() marksim.Person {
	p := confirms(0, 0)
	p.Outcome = marksim.Waits
	return p
}

// enqueue runs `identwatch enqueue -` and demands that it takes every token.
func (w *world) enqueue(tokens []string, flags ...string) {
	w.t.Helper()
	if code, said := w.tryEnqueue(tokens, flags...); code != 0 {
		w.t.Fatalf("identwatch enqueue: exit code %d\n%s", code, said)
	}
}

// tryEnqueue returns the exit code, and what it said on standard error.
func (w *world) tryEnqueue(tokens []string, flags ...string) (int, string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"enqueue", "-"}, flags...)...)
	cmd.Env = append([]string{"REDIS_URL=" + w.url}, w.enqueuing...)
	cmd.Stdin = strings.NewReader(strings.Join(tokens, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		w.t.Errorf("identwatch enqueue: %v", err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// enqueueHere enqueues as an application does, without the command.
func (w *world) enqueueHere(tokens ...string) {
	w.t.Helper()
	for _, token := range tokens {
		if err := w.client.Enqueue(w.ctx, tasks.Session{Token: token, Method: tasks.SmartID}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// awaitRemoved waits until MarkSign has removed every session.
func (w *world) awaitRemoved(tokens []string, within time.Duration) {
	w.t.Helper()
	left := func() (n int, first string) {
		for _, token := range tokens {
			if w.snapshot(token).RemovedAt.IsZero() {
				n, first = n+1, token
			}
		}
		return n, first
	}
	if happens(within, func() bool { n, _ := left(); return n == 0 }) {
		return
	}
	n, last := left()
	record := w.rdb.HGetAll(w.ctx, w.shards.Of("default:"+last).Key("default:"+last)).Val()
	w.t.Errorf("%d of %d sessions are not removed after %v; the last of them: %+v, its record: %v", n, len(tokens), within, w.snapshot(last), record)
}

// awaitQuiet waits until no task waits or runs, so that nothing more can come.
func (w *world) awaitQuiet(within time.Duration) {
	w.t.Helper()
	if happens(within, func() bool { return len(w.unfinished()) == 0 }) {
		return
	}
	for _, task := range w.unfinished() {
		w.t.Errorf("%s %s is %s after %v, due in %v: %s",
			task.Type, task.ID, task.State, within, time.Until(task.NextProcessAt), task.LastErr)
	}
}

// hurryRemovals runs the tasks session:remove early, again and again. What
// MarkSign refuses is tried for minutes: a DELETE whose first one was not noted,
// since its process died, is refused for good.
func (w *world) hurryRemovals() {
	happens(10*time.Second, func() bool {
		for _, shard := range w.shards.All() {
			_, _ = w.tasks.RunAllScheduledTasks(shard.Queue(queue.Remove))
			_, _ = w.tasks.RunAllRetryTasks(shard.Queue(queue.Remove))
		}
		return len(w.unfinished()) == 0
	})
}

// unfinished are the tasks of all queues that are not completed, by what each task
// says of itself. asynq's lists would show none of a task that moves from one to
// another while they are read one after another.
func (w *world) unfinished() []*asynq.TaskInfo {
	w.t.Helper()
	var all []*asynq.TaskInfo
	for _, name := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		for _, shard := range w.shards.All() {
			all = append(all, w.unfinishedIn(shard.Queue(name))...)
		}
	}
	return all
}

func (w *world) unfinishedIn(queue string) (all []*asynq.TaskInfo) {
	w.t.Helper()
	prefix := "asynq:{" + queue + "}:t:"
	node, err := redisnode.Of(w.ctx, w.rdb, prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	keys := node.Scan(w.ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(w.ctx) {
		info, err := w.tasks.GetTaskInfo(queue, strings.TrimPrefix(keys.Val(), prefix))
		switch {
		case errors.Is(err, asynq.ErrTaskNotFound): // it ended, and its time is over
		case errors.Is(err, asynq.ErrQueueNotFound): // no worker has run on it yet
		case err != nil:
			w.t.Fatal(err)
		case info.State != asynq.TaskStateCompleted:
			all = append(all, info)
		}
	}
	if err := keys.Err(); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// task returns a task, and nil where there is none.
func (w *world) task(queue, token string) *asynq.TaskInfo {
	info, err := w.tasks.GetTaskInfo(w.shards.Of("default:"+token).Queue(queue), "default:"+token)
	if err != nil {
		return nil
	}
	return info
}
