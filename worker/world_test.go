package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

const (
	accessToken = "access-token-MARKED"
	callback    = "https://app.example/callback"
)

// TestMain keeps what go-redis says of cut connections out of the tests' output.
func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// world is everything that a session meets, in one bubble of virtual time: an
// embedded Redis over in-memory connections, the simulated MarkSign, and a
// receiver. Workers in it are whole, with asynq's own servers.
type world struct {
	t        testing.TB
	ctx      context.Context
	mini     *miniredis.Miniredis
	rdb      *redis.Client
	sim      *marksim.Simulator
	markSign http.RoundTripper
	receiver *receiver
	client   *tasks.Client
	tasks    *asynq.Inspector
	logs     *logBuffer
	stops    []func()
}

// inWorld runs a test in a world of its own.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { inBubble(t, test) })
}

// inBubble is inWorld for a caller that made the bubble.
func inBubble(t testing.TB, test func(w *world)) {
	rdb, mini := redistest.Embedded()
	w := &world{
		t: t, ctx: context.Background(), mini: mini, rdb: rdb,
		sim:  marksim.New(marksim.Options{AccessToken: accessToken, Seed: 1}),
		logs: new(logBuffer),
	}
	w.markSign = w.sim
	w.receiver = newReceiver(t)
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		t.Fatal(err)
	}
	w.client, w.tasks = client, asynq.NewInspectorFromRedisClient(rdb)
	defer func() {
		for _, stop := range w.stops {
			stop()
		}
		rdb.Close()
		mini.Close()
		time.Sleep(5 * time.Second) // until go-redis's own goroutines see that they are closed
	}()
	test(w)
}

// process is one worker, with connections of its own.
type process struct {
	*Worker
	err    error  // of Run, once it was stopped
	mayEnd error  // what Run may end with
	stop   func() // as SIGTERM does; waits
	cut    func() // as a power cut does: nothing of it reaches anybody any more
}

func (w *world) start(change ...func(*Options)) *process {
	w.t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	dead := false
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", PoolSize: 50, Dialer: func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		conn, err := w.mini.Dial()
		conns = append(conns, conn)
		return conn, err
	}})
	markSign := &gate{inner: w.markSign}
	receiverGate := &gate{inner: w.receiver}
	opts := Options{
		Redis: rdb, OutcomeKeys: [][]byte{[]byte("0123456789abcdef0123456789abcdef")},
		Accounts: []Account{{
			MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: accessToken, Transport: markSign},
			Sender:   w.sender(receiverGate), CallbackURL: callback,
		}},
		Logger:      slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		PollWorkers: 32,
	}
	for _, c := range change {
		c(&opts)
	}
	worker, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	p := &process{Worker: worker}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.err = worker.Run(ctx)
	}()
	p.stop = func() {
		cancel()
		<-done
	}
	w.stops = append(w.stops, func() {
		p.stop()
		if p.err != nil && !errors.Is(p.err, p.mayEnd) {
			w.t.Error(p.err)
		}
		if p.err != nil {
			time.Sleep(3 * time.Minute) // until what the stop left behind has ended
		}
		rdb.Close()
	})
	p.cut = func() {
		mu.Lock()
		dead = true
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		p.mayEnd = errStop
		markSign.close()
		receiverGate.close()
	}
	return p
}

func (w *world) sender(transport http.RoundTripper) *webhook.Sender {
	w.t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{testSecret}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer, Transport: transport})
	if err != nil {
		w.t.Fatal(err)
	}
	return sender
}

var testSecret = webhook.NewSecret()

// gate is a network that can be cut.
type gate struct {
	inner http.RoundTripper
	mu    sync.Mutex
	shut  bool
}

func (g *gate) close() { g.mu.Lock(); g.shut = true; g.mu.Unlock() }

func (g *gate) closed() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.shut }

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.closed() {
		return nil, io.EOF
	}
	resp, err := g.inner.RoundTrip(r)
	if g.closed() {
		return nil, io.EOF
	}
	return resp, err
}

// post is one request that the receiver got.
type post struct {
	id, token  string
	begun, end time.Time
	status     int
	event      webhook.Event
	body       string
}

// receiver is the application's end of the callback. It verifies every post.
type receiver struct {
	t      testing.TB
	secret webhook.Secret
	mu     sync.Mutex
	posts  []post
	// trouble is what keeps a post from leaving this machine, nil for nothing; n counts the posts that were tried.
	trouble func(n int64) error
	tried   atomic.Int64
	answer  func(r *http.Request, n int) (status int, after time.Duration, header http.Header) // n counts the session's posts
	counts  map[string]int
}

func newReceiver(t testing.TB) *receiver {
	return &receiver{t: t, secret: testSecret, counts: make(map[string]int)}
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	begun := time.Now()
	if n := r.tried.Add(1); r.trouble != nil {
		if err := r.trouble(n); err != nil {
			return nil, err
		}
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := (webhook.Verifier{Secrets: []webhook.Secret{r.secret}}).Verify(req.Header, body); err != nil {
		r.t.Errorf("a post's signature: %v", err)
	}
	event, err := webhook.Parse(body)
	if err != nil {
		r.t.Errorf("a post's event: %v", err)
	}
	token := event.Data.Token
	r.mu.Lock()
	r.counts[token]++
	n := r.counts[token]
	answer := r.answer
	r.mu.Unlock()
	status, after, header := http.StatusNoContent, time.Duration(0), http.Header(nil)
	if answer != nil {
		status, after, header = answer(req, n)
	}
	p := post{id: req.Header.Get("webhook-id"), token: token, begun: begun, status: status, event: event, body: string(body)}
	select {
	case <-req.Context().Done():
		p.status = 0
	case <-time.After(after):
	}
	p.end = time.Now()
	r.mu.Lock()
	r.posts = append(r.posts, p)
	r.mu.Unlock()
	if p.status == 0 {
		return nil, req.Context().Err()
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Body: http.NoBody, Request: req,
	}, nil
}

func (r *receiver) of(token string) []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	var posts []post
	for _, p := range r.posts {
		if p.token == token {
			posts = append(posts, p)
		}
	}
	return posts
}

// logBuffer is what the workers logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// confirming is a person who confirms after the time given.
func confirming(after time.Duration) marksim.Person {
	return marksim.Person{Name: "JONASMARKED", Surname: "JONAITISMARKED", Code: "30303039914", Country: "LT", AfterMin: after}
}

// session starts a session at MarkSign and has it followed.
func (w *world) session(token string, p marksim.Person, change ...func(*tasks.Session)) tasks.Session {
	w.t.Helper()
	w.sim.Add(token, marksim.SmartID, p)
	return w.enqueue(token, change...)
}

func (w *world) enqueue(token string, change ...func(*tasks.Session)) tasks.Session {
	w.t.Helper()
	s := tasks.Session{Token: token, Method: tasks.SmartID, Reference: "order-" + token, Checks: []tasks.Check{tasks.PEPs, tasks.Sanctions}}
	for _, c := range change {
		c(&s)
	}
	if err := w.client.Enqueue(w.ctx, s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// await waits, in virtual time, until the condition holds.
func (w *world) await(what string, within time.Duration, holds func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > within {
			dump, _ := redistest.Dump(w.ctx, w.rdb)
			w.t.Fatalf("%s: not within %v\nlogs:\n%s\nRedis:\n%s", what, within, w.logs, dump)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begun)
}

// awaitEnd waits until the session's follow task is completed and returns its result.
func (w *world) awaitEnd(token string, within time.Duration) settle.Result {
	w.t.Helper()
	return w.awaitTask(queue.Follow, token, within)
}

func (w *world) awaitTask(queue, token string, within time.Duration) settle.Result {
	w.t.Helper()
	var result settle.Result
	w.await("the end of "+queue+" "+token, within, func() bool {
		info, err := w.tasks.GetTaskInfo(queue, "default:"+token)
		if err != nil || info.State != asynq.TaskStateCompleted {
			return false
		}
		if err := json.Unmarshal(info.Result, &result); err != nil {
			w.t.Fatalf("the result %q: %v", info.Result, err)
		}
		return true
	})
	return result
}

func (w *world) record(token string) outcome.Record {
	w.t.Helper()
	store := outcome.NewStore(outcome.Config{Redis: w.rdb})
	r, err := store.Read(w.ctx, outcome.Session{ID: "default:" + token})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) seen(token string) marksim.Snapshot {
	s, _ := w.sim.Session(token)
	return s
}

// checkOneStory checks what holds for every session that ended with a 2xx: the
// posts carry one id and one body, do not overlap, and the DELETE came after the
// 2xx, or after the delivery was given up where it was made again.
func (w *world) checkOneStory(token string) post {
	w.t.Helper()
	posts := w.receiver.of(token)
	if len(posts) == 0 {
		w.t.Fatalf("%s: nothing was posted\n%s", token, w.logs)
	}
	acknowledged := 0
	for i, p := range posts {
		if p.id != posts[0].id || p.body != posts[0].body {
			w.t.Errorf("%s: attempt %d has another id or another body", token, i+1)
		}
		if i > 0 && p.begun.Before(posts[i-1].end) {
			w.t.Errorf("%s: attempts %d and %d overlap", token, i, i+1)
		}
		if p.status/100 == 2 {
			acknowledged++
		}
	}
	last := posts[len(posts)-1]
	if acknowledged != 1 || last.status/100 != 2 {
		w.t.Errorf("%s: acknowledged %d times, the last answer is %d", token, acknowledged, last.status)
	}
	givenUpBefore := !w.record(token).Redelivered.IsZero()
	if removed := w.seen(token).RemovedAt; !givenUpBefore && !removed.IsZero() && removed.Before(last.end.Add(outcome.RemovalDelay-5*time.Millisecond)) { // records keep milliseconds
		w.t.Errorf("%s: removed %v after the 2xx", token, removed.Sub(last.end))
	}
	return last
}

// checkNothingPersonal searches everything that is public.
func (w *world) checkNothingPersonal() {
	w.t.Helper()
	dump, err := redistest.Dump(w.ctx, w.rdb)
	if err != nil {
		w.t.Fatal(err)
	}
	for where, text := range map[string]string{"Redis": dump, "the logs": w.logs.String()} {
		for _, marked := range []string{"MARKED", "30303039914", "0123456789abcdef", testSecret.Encode()} {
			if at := strings.Index(text, marked); at >= 0 {
				w.t.Errorf("%s show %q: …%s…", where, marked, text[max(0, at-200):min(len(text), at+50)])
			}
		}
	}
}
