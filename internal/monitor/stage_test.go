package monitor

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// others is a queue of software that shares the Redis.
const others = "others"

// foreignPayload is of a kind that a page must not take for its own.
const foreignPayload = "\x00\xff<img src=x onerror=alert(1)>"

// stage is a Redis with tasks in every state, each told by its id: those of a
// worker that runs, and one that other software is at.
type stage struct {
	t         *testing.T
	rdb       *redis.Client
	sim       *marksim.Simulator
	callbacks string
	inspector *asynq.Inspector
}

func newStage(t *testing.T, rdb *redis.Client) *stage {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(receiver.Close)
	s := &stage{
		t: t, rdb: rdb, callbacks: receiver.URL, sim: marksim.New(marksim.Options{Seed: 1}),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
	}
	s.work()
	s.occupy()
	s.enqueue("confirmed", marksim.Person{Name: "VARDENIS", Surname: "PAVARDENIS", Code: "39901011234", Country: "LT"}, "/")
	s.enqueue("undelivered", marksim.Person{Name: "VARDENIS", Surname: "PAVARDENIS", Code: "39901011234", Country: "LT"}, "/down")
	s.enqueue("followed", marksim.Person{Outcome: marksim.Waits}, "/")
	s.enqueue("put.away", marksim.Person{Outcome: marksim.Waits}, "/")
	s.await("sessions followed, delivered and not", func() bool {
		return s.state(queue.Follow, "confirmed") == asynq.TaskStateCompleted && s.state(queue.Deliver, "undelivered") == asynq.TaskStateScheduled &&
			s.state(queue.Follow, "followed") == asynq.TaskStateRetry && s.state(queue.Follow, "put.away") == asynq.TaskStateRetry
	})
	s.must(s.inspector.ArchiveTask(queue.Follow, "default:put.away"))
	s.must(s.inspector.PauseQueue(queue.Follow))
	s.enqueue("in-line", marksim.Person{Outcome: marksim.Waits}, "/")
	s.enqueue("planned", marksim.Person{Outcome: marksim.Waits}, "/", asynq.ProcessIn(time.Hour))
	return s
}

// work runs a worker until the test ends.
func (s *stage) work() {
	s.t.Helper()
	markSign := httptest.NewServer(s.sim)
	s.t.Cleanup(markSign.Close)
	signer, err := webhook.NewSigner([]webhook.Secret{webhook.NewSecret()}, nil)
	s.must(err)
	sender, err := webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	s.must(err)
	w, err := worker.New(worker.Options{
		Redis: s.rdb, Accounts: []worker.Account{{MarkSign: worker.MarkSign{BaseURL: markSign.URL, AccessToken: "any"}, Sender: sender}},
		OutcomeKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}, Pace: worker.Pace{{Every: 100 * time.Millisecond}},
		Logger: slog.New(slog.DiscardHandler),
	})
	s.must(err)
	s.background(w.Run)
}

// occupy has other software work on a task of its own until the test ends.
func (s *stage) occupy() {
	s.t.Helper()
	server := asynq.NewServerFromRedisClient(s.rdb, asynq.Config{Queues: map[string]int{others: 1}, LogLevel: asynq.FatalLevel})
	s.must(server.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error {
		<-ctx.Done()
		return ctx.Err()
	})))
	s.t.Cleanup(func() {
		_ = s.inspector.CancelProcessing("at-work")
		server.Shutdown()
	})
	_, err := asynq.NewClientFromRedisClient(s.rdb).Enqueue(
		asynq.NewTask("mail:send", []byte(foreignPayload)), asynq.Queue(others), asynq.TaskID("at-work"))
	s.must(err)
	s.await("other software at work", func() bool {
		info, err := s.inspector.GetTaskInfo(others, "at-work")
		return err == nil && info.State == asynq.TaskStateActive
	})
}

func (s *stage) enqueue(token string, p marksim.Person, callback string, opts ...asynq.Option) {
	s.t.Helper()
	s.sim.Add(token, marksim.SmartID, p)
	task, err := tasks.NewFollowTask(tasks.Session{
		Token: token, Method: tasks.SmartID, CallbackURL: s.callbacks + callback, Reference: "order-1842",
	}, tasks.DefaultRetention)
	s.must(err)
	_, err = asynq.NewClientFromRedisClient(s.rdb).Enqueue(task, opts...)
	s.must(err)
}

// state returns 0 where there is no such task.
func (s *stage) state(queue, token string) asynq.TaskState {
	info, err := s.inspector.GetTaskInfo(queue, "default:"+token)
	if err != nil {
		return 0
	}
	return info.State
}

// background runs what ends with its context, until the test ends.
func (s *stage) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		s.must(<-done)
	})
}

// await waits on real servers, which tell nobody when they are done.
func (s *stage) await(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !ok(); {
		select {
		case <-deadline:
			s.t.Fatalf("no %s within 30 s", what)
		case <-tick.C:
		}
	}
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}
