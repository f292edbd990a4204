// Package sessiontest gives the test of one part of the engine what that part meets:
// records and tasks in an embedded Redis, a MarkSign whose answers the test writes,
// and runs of a task, all in a bubble of virtual time. It is imported by tests alone.
//
// Read sessiontest.go (the bubble), marksign.go (what MarkSign answers), run.go (runs
// of tasks).
package sessiontest

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// Windows of the records.
const (
	SessionTimeout   = 15 * time.Minute
	DeliveryWindow   = 72 * time.Hour
	RedeliveryWindow = 7 * 24 * time.Hour
)

// Holder names the process of the test in the records.
const Holder = "this-worker"

// Bed is what one test has. Its Redis is its own.
type Bed struct {
	T         *testing.T
	Ctx       context.Context //nolint:containedctx // a fixture holds its test's context
	Redis     *redis.Client
	Mini      *miniredis.Miniredis
	Records   *outcome.Store
	Tasks     queue.List
	Inspector *asynq.Inspector
	MarkSign  *MarkSign
	Log       *slog.Logger // from debug level
	logs      *logs
}

// In runs a test in a bubble of its own, in parallel with others.
func In(t *testing.T, test func(b *Bed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		logs := new(logs)
		ring, err := outcome.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = rdb.Close()
			mini.Close()
			<-time.After(5 * time.Second) // until go-redis's own goroutines see that they are closed
		}()
		test(&Bed{
			T: t, Ctx: t.Context(), Redis: rdb, Mini: mini,
			Records: outcome.NewStore(outcome.Config{
				Redis: rdb, Keyring: ring,
				SessionTimeout: SessionTimeout, DeliveryWindow: DeliveryWindow, RedeliveryWindow: RedeliveryWindow,
			}),
			Tasks: queue.NewList(rdb, session.Shards{}), Inspector: asynq.NewInspectorFromRedisClient(rdb), MarkSign: new(MarkSign),
			Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})), logs: logs,
		})
	})
}

// Job is the session that most tests are about.
func Job() session.Job {
	return session.Job{Account: session.DefaultAccount, Token: "a", Method: session.SmartID, Retention: 2 * time.Hour}
}

// Sender posts nothing: no part that is tested here posts.
func Sender(t testing.TB) *webhook.Sender {
	t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{webhook.NewSecret()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// Account is one whose MarkSign is the bed's. With keys, tasks must be signed.
func (b *Bed) Account(keys ...queue.PayloadKey) *account.Account {
	b.T.Helper()
	a, err := account.New(account.Options{MarkSign: b.MarkSign.Config(), Sender: Sender(b.T), TaskKeys: keys, Log: b.Log})
	if err != nil {
		b.T.Fatal(err)
	}
	return a
}

// Record is the record of the Job.
func (b *Bed) Record() outcome.Record {
	b.T.Helper()
	r, err := b.Records.Read(b.Ctx, outcome.Of(Job()))
	if err != nil {
		b.T.Fatal(err)
	}
	return r
}

// Kept is for how long Redis keeps the record of the Job.
func (b *Bed) Kept() time.Duration { return b.Redis.PTTL(b.Ctx, "identwatch:"+Job().ID()).Val() }

// Tell has the Job's record tell a story up to a state, as other workers write it.
func (b *Bed) Tell(state outcome.State) outcome.Record {
	b.T.Helper()
	return b.TellOf(Job(), state)
}

// TellOf is Tell for any job.
func (b *Bed) TellOf(job session.Job, state outcome.State) outcome.Record {
	b.T.Helper()
	s := outcome.Of(job)
	switch state {
	case outcome.None:
		return outcome.Record{}
	case outcome.Cancelled:
		b.told(b.Records.Cancel(b.Ctx, s, outcome.RemovalHanded))
	default:
		if _, err := b.Records.Follow(b.Ctx, s, "other-worker", outcome.Evidence{}); err != nil {
			b.T.Fatal(err)
		}
		if state != outcome.Following {
			b.tellOutcome(job, state)
		}
	}
	r, err := b.Records.Read(b.Ctx, s)
	if err != nil || r.State != state {
		b.T.Fatalf("the record is %q, want %q; error %v", r.State, state, err)
	}
	return r
}

// tellOutcome goes on from an outcome to what became of its event.
func (b *Bed) tellOutcome(job session.Job, state outcome.State) {
	b.T.Helper()
	const claimant = "other-worker.1"
	s := outcome.Of(job)
	result := outcome.Result{
		Type: string(webhook.Completed), Polls: 3, Time: time.Now(), Body: []byte("{}"),
		Instructions: &outcome.Instructions{Account: job.Account, Method: string(job.Method)},
	}
	b.told(b.Records.Seal(b.Ctx, s, result, claimant, time.Minute))
	switch state {
	case outcome.Handed:
		b.told(b.Records.HandOver(b.Ctx, s, claimant, "HTTP 503"))
	case outcome.Delivered:
		b.told(b.Records.Deliver(b.Ctx, s, result))
	case outcome.GivenUp, outcome.Redelivering:
		task, err := queue.NewDeliverTask(job)
		if err != nil {
			b.T.Fatal(err)
		}
		b.told(b.Records.GiveUp(b.Ctx, s, claimant, "HTTP 503", task.Payload()))
		if state == outcome.Redelivering {
			b.told(b.Records.Redeliver(b.Ctx, s))
		}
	}
}

func (b *Bed) told(c outcome.Change, err error) {
	b.T.Helper()
	if err != nil || !c.Applied {
		b.T.Fatalf("applied: %v, error %v", c.Applied, err)
	}
}

// RedisFails has Redis refuse every command, until RedisIsBack.
func (b *Bed) RedisFails() {
	b.Redis.Ping(b.Ctx) // the embedded Redis begins with its first connection
	b.Mini.SetError("ERR down in this test")
}

// RedisIsBack ends RedisFails.
func (b *Bed) RedisIsBack() { b.Mini.SetError("") }

// Logged counts the lines of the log that hold a text.
func (b *Bed) Logged(text string) int {
	n := 0
	for line := range strings.Lines(b.Logs()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Logs is all that was logged.
func (b *Bed) Logs() string {
	b.logs.mu.Lock()
	defer b.logs.mu.Unlock()
	return b.logs.b.String()
}

type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
