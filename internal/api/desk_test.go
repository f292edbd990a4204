package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// TestMain keeps what go-redis says of cut connections out of the tests' output.
func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

const callback = "https://app.example/callback"

// desk is the API with two accounts, and a receiver that answers as it is told.
// The account "bare" has no callback URL.
type desk struct {
	t      rapid.TB
	rdb    redis.UniversalClient
	api    *API
	secret webhook.Secret
	keys   map[string]string // of the accounts
	others map[string]string // another key of each account
	log    *bytes.Buffer     // read it when no call is under way

	mu       sync.Mutex
	received []*http.Request
	receive  func(*http.Request) (*http.Response, error) // nil: 204
}

// newDesk makes a desk on an embedded Redis.
func newDesk(t *testing.T) *desk {
	t.Helper()
	rdb, mini := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); mini.Close() })
	return newDeskOn(t, rdb)
}

func newDeskOn(t rapid.TB, rdb redis.UniversalClient) *desk {
	d := &desk{
		t: t, rdb: rdb, secret: webhook.NewSecret(), log: new(bytes.Buffer),
		keys:   map[string]string{"shop": NewKey(), "crm": NewKey(), "bare": NewKey()},
		others: map[string]string{"shop": NewKey(), "crm": NewKey(), "bare": NewKey()},
	}
	var accounts []Account
	for name, key := range d.keys {
		a := Account{Name: name, Keys: [][32]byte{HashKey(d.others[name]), HashKey(key)}, CallbackURL: callback, Sender: d.sender()}
		if name == "bare" {
			a.CallbackURL = ""
		}
		accounts = append(accounts, a)
	}
	a, err := New(Options{Accounts: accounts, Redis: rdb, Log: newLog(d.log)})
	if err != nil {
		t.Fatal(err)
	}
	d.api = a
	return d
}

func (d *desk) sender() *webhook.Sender {
	signer, err := webhook.NewSigner([]webhook.Secret{d.secret}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer, Transport: d})
	if err != nil {
		d.t.Fatal(err)
	}
	return sender
}

// RoundTrip is the receiver.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	d.received = append(d.received, r)
	receive := d.receive
	d.mu.Unlock()
	if receive != nil {
		return receive(r)
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

// client of the API is an account's application, with the account's key.
type client struct {
	*desk
	t      rapid.TB // who is told of what is wrong
	header http.Header
}

func (d *desk) as(account string) client {
	return client{d, d.t, http.Header{"Authorization": {"Bearer " + d.keys[account]}}}
}

// nobody is a client without a key.
func (d *desk) nobody() client { return client{d, d.t, http.Header{}} }

// with is the client with another header.
func (c client) with(name, value string) client {
	c.header = c.header.Clone()
	c.header.Set(name, value)
	return c
}

// reply is an answer that was held against the document.
type reply struct {
	status int
	header http.Header
	body   []byte
	t      rapid.TB
}

// do sends a request and holds it and its answer against the document. A body
// that is no string is sent as JSON.
func (c client) do(method, path string, body any) reply {
	r := httptest.NewRequestWithContext(context.Background(), method, path, reader(c.t, body))
	r.Header = c.header.Clone()
	if body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.send(r)
}

func reader(t rapid.TB, body any) io.Reader {
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.NewReader(text)
	}
}

func (c client) send(r *http.Request) reply {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	rec := httptest.NewRecorder()
	c.api.ServeHTTP(rec, r)
	got := reply{rec.Code, rec.Header(), rec.Body.Bytes(), c.t}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	got.check(r)
	return got
}

// into reads the body of an answer that must have a status.
func (r reply) into(status int, value any) reply {
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if err := json.Unmarshal(r.body, value); err != nil {
		r.t.Fatalf("%v in %s", err, r.body)
	}
	return r
}

// problem returns the problem that an answer must be.
func (r reply) problem(status int, code string) Problem {
	var p Problem
	r.into(status, &p)
	if p.Code != code {
		r.t.Errorf("problem %q, want %q: %s", p.Code, code, r.body)
	}
	return p
}

// session returns the status that an answer must be.
func (r reply) session(status int) SessionStatus {
	var s SessionStatus
	r.into(status, &s)
	return s
}

// check holds an answer, and the request where it was accepted, against the
// document, and against what no document can say.
func (r reply) check(request *http.Request) {
	where := request.Method + " " + request.URL.Path
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		r.t.Errorf("%s: Cache-Control %q", where, got)
	}
	if r.status >= 400 {
		r.checkProblem(where)
	}
	if request.Method == http.MethodHead || r.status == http.StatusMethodNotAllowed || !described(request) {
		return
	}
	r.checkAnswer(request)
	if r.status >= 300 || bytes.Contains(r.body, []byte(`"result":"invalid"`)) {
		return
	}
	checking.Lock()
	valid, faults := checker().ValidateHttpRequestSync(request)
	checking.Unlock()
	if !valid {
		r.t.Errorf("%s: the request was accepted and is not in the document: %s", where, describeFaults(faults))
	}
}

// checkAnswer holds an answer against the document alone.
func (r reply) checkAnswer(request *http.Request) {
	response := &http.Response{
		StatusCode: r.status, Header: r.header, Request: request,
		Body: io.NopCloser(bytes.NewReader(r.body)),
	}
	checking.Lock()
	valid, faults := checker().ValidateHttpResponse(request, response)
	checking.Unlock()
	if !valid {
		r.t.Errorf("%s %s: the answer is not in the document: %s\n%d %s", request.Method, request.URL.Path, describeFaults(faults), r.status, r.body)
	}
}

func (r reply) checkProblem(where string) {
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Errorf("%s: %d as %q", where, r.status, got)
	}
	var p Problem
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || p.Status != r.status || p.Title != http.StatusText(r.status) || p.Detail == "" || p.Code == "" {
		r.t.Errorf("%s: %d with %v: %s", where, r.status, err, r.body)
	}
	seen := map[string]bool{}
	for _, e := range p.Errors {
		if seen[e.Field] || e.Problem == "" {
			r.t.Errorf("%s: the field %q is named twice, or without a problem", where, e.Field)
		}
		seen[e.Field] = true
	}
	if (len(p.Errors) > 0) != (p.Code == "invalid") {
		r.t.Errorf("%s: %d with %d fields", where, r.status, len(p.Errors))
	}
	if need := map[int]string{401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}[r.status]; need != "" && r.header.Get(need) == "" {
		r.t.Errorf("%s: %d without %s", where, r.status, need)
	}
}

// described reports whether the document has the request's operation.
func described(r *http.Request) bool {
	_, pattern := theDocument().api.mux.Handler(r)
	return isClean(r.URL.Path) && isClean(r.URL.EscapedPath()) &&
		strings.HasPrefix(pattern, r.Method+" /v1/") && !strings.Contains(pattern, "openapi")
}

func describeFaults(faults []*errors.ValidationError) string {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintf(&b, "\n  %s: %s", f.Message, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			fmt.Fprintf(&b, "\n    %s: %s", s.FieldPath, s.Reason)
		}
	}
	return b.String()
}

// served is the document as it is served, and an API that nobody asks.
type served struct {
	api  *API
	json []byte
	yaml []byte
}

var theDocument = sync.OnceValue(func() served {
	rdb, mini := redistest.Embedded()
	defer mini.Close()
	defer rdb.Close()
	a, err := New(Options{Redis: rdb})
	if err != nil {
		panic(err)
	}
	get := func(path string) []byte {
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil))
		return rec.Body.Bytes()
	}
	return served{a, get("/v1/openapi.json"), get("/v1/openapi.yaml")}
})

// checking is held while the checker checks: it is not safe for concurrent use.
var checking sync.Mutex

// checker holds requests and answers against the document. It is of another
// library than the one that makes it.
var checker = sync.OnceValue(func() validator.Validator {
	document, err := libopenapi.NewDocument(theDocument().json)
	if err != nil {
		panic(err)
	}
	v, faults := validator.NewValidator(document, config.WithFormatAssertions())
	if len(faults) > 0 {
		panic(faults)
	}
	return v
})

// aSession is a body that is accepted.
func aSession(token string) map[string]any {
	return map[string]any{"token": token, "method": "smart_id"}
}

// enqueued reports whether the session waits in Redis.
func (d *desk) enqueued(account, token string) bool {
	_, err := asynq.NewInspectorFromRedisClient(d.rdb).GetTaskInfo(queue.Follow, account+":"+token)
	return err == nil
}

// payload is the session that waits in Redis.
func (d *desk) payload(account, token string) session.Job {
	info, err := asynq.NewInspectorFromRedisClient(d.rdb).GetTaskInfo(queue.Follow, account+":"+token)
	if err != nil {
		d.t.Fatal(err)
	}
	followed, err := queue.Decode(info.Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	return followed
}

// seal gives a session an outcome, as a worker would.
func (d *desk) seal(account, token string) {
	keyring, err := outcome.NewKeyring(make([]byte, outcome.KeySize))
	if err != nil {
		d.t.Fatal(err)
	}
	store := outcome.NewStore(outcome.Config{Redis: d.rdb, Keyring: keyring, SessionTimeout: time.Minute, DeliveryWindow: time.Minute})
	session := outcome.Session{ID: account + ":" + token, Retention: time.Hour}
	result := outcome.Result{Type: string(webhook.Refused), Reason: "refused", Time: time.Now(), Body: []byte("{}"), Instructions: new(outcome.Instructions)}
	if change, err := store.Seal(context.Background(), session, result, "a worker", time.Minute); err != nil || !change.Applied {
		d.t.Fatal(change.Applied, err)
	}
}

// requestFor is a request for an operation of the document.
func requestFor(t testing.TB, method, path string) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), method, strings.ReplaceAll(path, "{token}", "a"), nil)
}

func atoi(t testing.TB, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
