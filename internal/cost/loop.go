package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/webhook"
)

// blockedTask is the type of the tasks whose handler blocks.
const blockedTask = "cost:blocked"

// loop follows sessions as a backend would by itself, and knows nothing of
// durability. A POST is not repeated.
type loop struct {
	marksign, callback string
	transport          *http.Transport
	secret             webhook.Secret
}

// runLoop is the process of the sides bare and blocked.
func runLoop(kind string) error {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 1024, 256
	l := &loop{
		marksign: os.Getenv("MARKSIGN_URL"), callback: os.Getenv("CALLBACK_URL"), secret: webhook.NewSecret(), transport: transport,
	}
	go serveReady(os.Getenv("LISTEN"))
	switch kind {
	case "bare":
		return l.bare()
	case "blocked":
		return l.blocked()
	}
	return fmt.Errorf("there is no loop %q", kind)
}

func serveReady(listen string) {
	server := &http.Server{Addr: listen, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	_ = server.ListenAndServe()
}

// bare reads tokens from standard input, and has a goroutine for each.
func (l *loop) bare() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		go func(token string) { _ = l.follow(context.Background(), token) }(lines.Text())
	}
	return lines.Err()
}

// blocked runs asynq with as many handlers at once as there are sessions.
func (l *loop) blocked() error {
	opt, err := asynq.ParseRedisURI(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	server := asynq.NewServer(opt, asynq.Config{Concurrency: 100_000, TaskCheckInterval: 100 * time.Millisecond, LogLevel: asynq.FatalLevel})
	return server.Run(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		return l.follow(ctx, string(t.Payload()))
	}))
}

// follow polls until there is an outcome, posts it, and removes the session two
// seconds later, as identwatch does.
func (l *loop) follow(ctx context.Context, token string) error {
	outcome, err := l.outcome(ctx, token)
	if err != nil {
		return err
	}
	if err := l.post(ctx, token, outcome); err != nil {
		return err
	}
	pause(ctx, 2*time.Second)
	_, err = l.call(ctx, http.MethodDelete, "/api/smartid/session/"+token)
	return err
}

// answer is what the loop reads of MarkSign's answer.
type answer struct {
	Status  string `json:"status"`
	Code    string `json:"code"`
	Name    string `json:"name"`
	Surname string `json:"surname"`
	Country string `json:"country"`
}

func (l *loop) outcome(ctx context.Context, token string) (a answer, err error) {
	for {
		body, err := l.call(ctx, http.MethodPost, "/smartid/status/"+token+".json")
		if err != nil {
			return a, err
		}
		if !bytes.Equal(body, waiting) {
			return a, json.Unmarshal(body, &a)
		}
		pause(ctx, time.Second+time.Duration(mathrand.IntN(200)-100)*time.Millisecond) //nolint:gosec // a spread is no secret
	}
}

// waiting is what nearly all answers are.
var waiting = []byte(`{"status":"waiting"}`)

func (l *loop) call(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.marksign+path, bytes.NewReader([]byte(`{"access_token":"cost"}`)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return l.do(req)
}

var errAnswer = errors.New("an answer that is not 2xx")

// do asks the transport itself, which costs less than an http.Client.
func (l *loop) do(req *http.Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), 10*time.Second)
	defer cancel()
	resp, err := l.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, errAnswer
	}
	return io.ReadAll(resp.Body)
}

func (l *loop) post(ctx context.Context, token string, a answer) error {
	body, err := json.Marshal(map[string]any{"type": "identification.completed", "data": map[string]any{"token": token, "person": a}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.callback, bytes.NewReader(body))
	if err != nil {
		return err
	}
	now, id := time.Now(), rand.Text()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(webhook.HeaderID, id)
	req.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(webhook.HeaderSignature, webhook.Sign(l.secret, id, now, body))
	_, err = l.do(req)
	return err
}
