package api

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// ofRedis are requests that ask Redis.
var ofRedis = []struct{ verb, path, body string }{
	{"POST", "/v1/sessions", `{"token":"a","method":"smart_id"}`},
	{"POST", "/v1/sessions:batch", `{"sessions":[{"token":"a","method":"smart_id"},{},{"token":"b","method":"smart_id"}]}`},
	{"GET", "/v1/sessions/a", ""},
	{"DELETE", "/v1/sessions/a", ""},
	{"POST", "/v1/sessions/a/redeliver", ""},
}

func TestRedis_DownIsA503ThatSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	mini := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { rdb.Close() })
	d := newDeskOn(t, rdb)
	d.as("shop").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	mini.Close()
	for _, r := range ofRedis {
		p := d.as("shop").do(r.verb, r.path, orNil(r.body)).problem(http.StatusServiceUnavailable, "unavailable")
		if !strings.Contains(p.Detail, "epeat") {
			t.Errorf("%s %s: %s", r.verb, r.path, p.Detail)
		}
	}
	d.as("shop").do(http.MethodPost, "/v1/events:test", nil).into(http.StatusOK, new(TestEventAnswer))
	if !strings.Contains(d.log.String(), "could not reach Redis") {
		t.Errorf("the log says %s", d.log)
	}
}

func orNil(body string) any {
	if body == "" {
		return nil
	}
	return body
}

// A Redis that takes connections and never answers must hang nobody, although
// not everything of go-redis ends with a context.
func TestRedis_ThatNeverAnswersIsA503InTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	rdb := redis.NewClient(&redis.Options{Addr: listener.Addr().String()})
	t.Cleanup(func() { rdb.Close() })
	d := newDeskOn(t, rdb)
	if d.api.patience >= 5*time.Second {
		t.Errorf("a call waits for %v", d.api.patience)
	}
	d.api.patience = 50 * time.Millisecond
	for _, r := range ofRedis {
		d.as("shop").do(r.verb, r.path, orNil(r.body)).problem(http.StatusServiceUnavailable, "unavailable")
	}
}

// Redis fails in the middle of a batch: what is in, is in, and repeating tells.
func TestBatch_RepeatedAfterRedisFailedInBetween(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	d := newDeskOn(t, rdb)
	d.as("shop").do(http.MethodPost, "/v1/sessions", aSession("first")).session(http.StatusAccepted) // loads the scripts
	hook := &failing{after: 13}
	rdb.AddHook(hook)
	var sessions []any
	for _, letter := range "abcdefghijklmnopqrstuvwxyz" {
		sessions = append(sessions, aSession(string(letter)))
	}
	d.as("shop").do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": sessions}).problem(http.StatusServiceUnavailable, "unavailable")
	hook.healed.Store(true)
	in := 0
	for _, letter := range "abcdefghijklmnopqrstuvwxyz" {
		if d.enqueued("shop", string(letter)) {
			in++
		}
	}
	if in == 0 || in == len(sessions) {
		t.Fatalf("%d are in: Redis did not fail in between", in)
	}
	var got BatchAnswer
	d.as("shop").do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": sessions}).into(http.StatusOK, &got)
	// A script that was under way when the batch gave up may have run after the look.
	if got.Duplicates < in || got.Enqueued+got.Duplicates != len(sessions) {
		t.Errorf("%+v, %d were in", got, in)
	}
}

func TestDefect_IsA500WithoutItsText(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	op := operation{handle: func(context.Context, call) (answer, error) { panic("canary") }}
	op.OperationID = "broken"
	rec := httptest.NewRecorder()
	r := requestFor(t, http.MethodGet, "/v1/sessions/{token}")
	r.Header = d.as("shop").header
	d.api.serve(op)(rec, r)
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String()+d.log.String(), "canary") {
		t.Errorf("%d %s, log %s", rec.Code, rec.Body, d.log)
	}
	if !strings.Contains(d.log.String(), "a defect in identwatch") || !strings.Contains(d.log.String(), "broken") {
		t.Errorf("the log says %s", d.log)
	}
}

func TestBody_HasToBeJSONOfABoundedSize(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	const ok = `{"token":"a","method":"smart_id"}`
	padded := func(size int) string { return ok + strings.Repeat(" ", size-len(ok)) }
	for _, test := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"cut", "/v1/sessions", `{"token":"a"`, 400, "malformed"},
		{"two values", "/v1/sessions", ok + ok, 400, "malformed"},
		{"no JSON", "/v1/sessions", "token=a", 400, "malformed"},
		{"not UTF-8", "/v1/sessions", "{\"token\":\"a\",\"method\":\"smart_id\",\"reference\":\"\xff\"}", 400, "malformed"},
		{"deep", "/v1/sessions", `{"token":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, 400, "malformed"},
		{"very deep", "/v1/sessions", strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000), 400, "malformed"},
		{"nothing", "/v1/sessions", "", 400, "malformed"},
		{"one byte too large", "/v1/sessions", padded(maxBody + 1), 413, "too_large"},
		{"a batch that is too large", "/v1/sessions:batch", padded(maxBatchBody + 1), 413, "too_large"},
		{"a test event that is too large", "/v1/events:test", padded(maxBody + 1), 413, "too_large"},
	} {
		shop.do(http.MethodPost, test.path, test.body).problem(test.status, test.code)
		unknownSize := requestFor(t, http.MethodPost, test.path)
		unknownSize.Header = shop.with("Content-Type", "application/json").header
		unknownSize.Body = io.NopCloser(strings.NewReader(test.body))
		unknownSize.ContentLength = -1
		rec := httptest.NewRecorder()
		d.api.ServeHTTP(rec, unknownSize)
		reply{rec.Code, rec.Header(), rec.Body.Bytes(), t}.problem(test.status, test.code)
	}
	shop.do(http.MethodPost, "/v1/sessions", padded(maxBody)).session(http.StatusAccepted)
}

func TestBody_ThatBreaksOffIsNoSession(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := requestFor(t, http.MethodPost, "/v1/sessions")
	r.Header = d.as("shop").with("Content-Type", "application/json").header
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"token":"a","method":"smart_id"}`), failingReader{}))
	r.ContentLength = 100
	rec := httptest.NewRecorder()
	d.api.ServeHTTP(rec, r)
	reply{rec.Code, rec.Header(), rec.Body.Bytes(), t}.problem(http.StatusBadRequest, "malformed")
	if d.enqueued("shop", "a") {
		t.Error("it was enqueued")
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("canary") }

func TestMediaTypes_AreJSON(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json2", "multipart/form-data", "application/", ";", "application/problem+json"} {
		shop.with("Content-Type", kind).do(http.MethodPost, "/v1/sessions", aSession("a")).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	shop.with("Content-Type", "text/plain").do(http.MethodPost, "/v1/events:test", "").problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	var zipped strings.Builder
	zip := gzip.NewWriter(&zipped)
	zip.Write([]byte(`{"token":"a","method":"smart_id"}`))
	zip.Close()
	shop.with("Content-Encoding", "gzip").do(http.MethodPost, "/v1/sessions", zipped.String()).problem(http.StatusUnsupportedMediaType, "unsupported_media_type")
	for _, accept := range []string{"text/html", "application/xml, text/*", "application/json;q=0", "canary"} {
		shop.with("Accept", accept).do(http.MethodGet, "/v1/sessions/a", nil).problem(http.StatusNotAcceptable, "not_acceptable")
	}
	shop.with("Content-Type", "application/json; charset=utf-8").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	for _, accept := range []string{"*/*", "application/*;q=0.1", "text/html, application/json;q=0.9", "text/html,application/xhtml+xml,*/*;q=0.8"} {
		shop.with("Accept", accept).do(http.MethodGet, "/v1/sessions/a", nil).session(http.StatusOK)
	}
}

// failing is a Redis that fails after it ran so many scripts, until it is healed.
// Only scripts are counted: how many commands open a connection, and how many
// connections there are, is go-redis's affair.
type failing struct {
	after  int64
	seen   atomic.Int64
	healed atomic.Bool
}

func (f *failing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if f.fails(cmd) {
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for i, cmd := range cmds {
			if f.fails(cmd) {
				for _, after := range cmds[i+1:] {
					after.SetErr(cmd.Err())
				}
				return errors.Join(cmd.Err(), next(ctx, cmds[:i]))
			}
		}
		return next(ctx, cmds)
	}
}

// fails reports whether a command fails, and lets it.
func (f *failing) fails(cmd redis.Cmder) bool {
	if !strings.HasPrefix(cmd.Name(), "eval") || f.seen.Add(1) <= f.after || f.healed.Load() {
		return false
	}
	cmd.SetErr(errors.New("ERR no more"))
	return true
}
