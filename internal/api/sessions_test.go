package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

func TestCreate_HasTheSessionFollowed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		d := newDeskOn(t, rdb)
		shop := d.as("shop")
		got := shop.do(http.MethodPost, "/v1/sessions", aSession("a.b_c-1"))
		s := got.session(http.StatusAccepted)
		if s.Token != "a.b_c-1" || s.Account != "shop" || s.State != "waiting" {
			t.Errorf("got %+v", s)
		}
		if read := shop.do(http.MethodGet, got.header.Get("Location"), nil).session(http.StatusOK); read != s {
			t.Errorf("read %+v, want %+v", read, s)
		}
		shop.do(http.MethodPost, "/v1/sessions", aSession("a.b_c-1")).problem(http.StatusConflict, "duplicate")
	})
}

func TestCreate_TakesEveryField(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.as("bare").do(http.MethodPost, "/v1/sessions", exampleSession).session(http.StatusAccepted)
	payload := d.payload("bare", exampleToken)
	want := session.Job{
		Token: exampleToken, Method: tasks.SmartID, CallbackURL: exampleSession.CallbackURL, Reference: "order-1842",
		Checks: []tasks.Check{tasks.PEPs, tasks.Sanctions}, StartedAt: exampleTime(0), Account: "bare",
		Retention: session.DefaultRetention,
	}
	if fmt.Sprint(payload) != fmt.Sprint(want) {
		t.Errorf("enqueued %+v, want %+v", payload, want)
	}
}

// fieldsOf returns the names of the invalid fields, in order.
func fieldsOf(errors []FieldError) string {
	var names []string
	for _, e := range errors {
		names = append(names, e.Field)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

var refusedSessions = []struct{ name, body, fields string }{
	{"nothing", `{}`, "method token"},
	{
		"every field of the wrong type", `{"token":1,"method":true,"locale":[],"callback_url":{},"reference":2.5,"checks":"peps","started_at":0}`,
		"callback_url checks locale method reference started_at token",
	},
	{
		"every field null", `{"token":null,"method":null,"locale":null,"callback_url":null,"reference":null,"checks":null,"started_at":null}`,
		"callback_url checks locale method reference started_at token",
	},
	{
		"types, rules and unknown fields together",
		`{"token":5,"method":"canary","callback_url":"https://app.example:22/canary","checks":["peps","peps"],"canary":1,"Token":"a"}`,
		"Token callback_url canary checks method token",
	},
	{"a bad token", `{"token":"a/canary","method":"smart_id"}`, "token"},
	{"a long token", `{"token":"` + strings.Repeat("a", 129) + `","method":"smart_id"}`, "token"},
	{"a dot", `{"token":"..","method":"smart_id"}`, "token"},
	{"another account", `{"token":"a","method":"smart_id","account":"crm"}`, "account"},
	{"a bad locale", `{"token":"a","method":"smart_id","locale":"canary"}`, "locale"},
	{"a bad check", `{"token":"a","method":"smart_id","checks":["canary"]}`, "checks"},
	{"null as a check", `{"token":"a","method":"smart_id","checks":[null]}`, "checks"},
	{"a bad time", `{"token":"a","method":"smart_id","started_at":"yesterday canary"}`, "started_at"},
	{"an old time", `{"token":"a","method":"smart_id","started_at":"1999-01-01T00:00:00Z"}`, "started_at"},
	{"a long reference", `{"token":"a","method":"smart_id","reference":"` + strings.Repeat("ä", 101) + `"}`, "reference"},
	{"an unprintable reference", `{"token":"a","method":"smart_id","reference":"canary\u0000"}`, "reference"},
	{"a callback with a password", `{"token":"a","method":"smart_id","callback_url":"https://canary:canary@app.example/"}`, "callback_url"},
	{"a callback over http", `{"token":"a","method":"smart_id","callback_url":"http://app.example/canary"}`, "callback_url"},
	{"a callback to metadata", `{"token":"a","method":"smart_id","callback_url":"https://169.254.169.254/canary"}`, "callback_url"},
	{"a callback to this machine", `{"token":"a","method":"smart_id","callback_url":"https://[::1]/canary"}`, "callback_url"},
	{"a list", `[{"token":"a"}]`, "body"},
	{"null", `null`, "body"},
	{"a string", `"canary"`, "body"},
}

func TestCreate_NamesEveryInvalidFieldOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, test := range refusedSessions {
		got := d.as("shop").do(http.MethodPost, "/v1/sessions", test.body)
		p := got.problem(http.StatusUnprocessableEntity, "invalid")
		if fields := fieldsOf(p.Errors); fields != test.fields {
			t.Errorf("%s: %s, want %s", test.name, fields, test.fields)
		}
		if strings.Contains(strings.ReplaceAll(string(got.body), `"field":"canary"`, ""), "canary") {
			t.Errorf("%s: the answer quotes what was refused: %s", test.name, got.body)
		}
	}
	p := d.as("bare").do(http.MethodPost, "/v1/sessions", aSession("a")).problem(http.StatusUnprocessableEntity, "invalid")
	if fields := fieldsOf(p.Errors); fields != "callback_url" {
		t.Errorf("no callback URL at all: %s", fields)
	}
	if keys, err := d.rdb.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("Redis holds %v, %v", keys, err)
	}
}

func TestBatch_AnswersForEachInOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		d := newDeskOn(t, rdb)
		shop := d.as("shop")
		shop.do(http.MethodPost, "/v1/sessions", aSession("known")).session(http.StatusAccepted)
		var got BatchAnswer
		shop.do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": []any{
			aSession("a"), map[string]any{"token": "b"}, aSession("known"), 7, aSession("a"), aSession("c"), map[string]any{"token": "c", "method": "x"},
		}}).into(http.StatusOK, &got)
		var lines []string
		for _, r := range got.Results {
			lines = append(lines, strings.TrimSpace(r.Token+" "+r.Result+" "+fieldsOf(r.Errors)))
		}
		const want = "a enqueued, invalid method, known duplicate, invalid body, a duplicate, c enqueued, invalid method"
		if text := strings.Join(lines, ", "); text != want || got.Enqueued != 2 || got.Duplicates != 2 || got.Invalid != 3 {
			t.Errorf("got %s, %+v\nwant %s", text, got, want)
		}
		for token, want := range map[string]bool{"a": true, "b": false, "c": true} {
			if d.enqueued("shop", token) != want {
				t.Errorf("%s is enqueued: %v", token, !want)
			}
		}
	})
}

func TestBatch_TakesAThousandAndNoMore(t *testing.T) {
	t.Parallel()
	d := newDeskOn(t, redistest.Start(t).Client())
	d.api.patience = time.Minute // for the race detector on a busy machine
	shop := d.as("shop")
	var sessions []any
	for i := range 1001 {
		sessions = append(sessions, aSession(fmt.Sprint("t", i)))
	}
	p := shop.do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": sessions}).problem(http.StatusUnprocessableEntity, "invalid")
	if fieldsOf(p.Errors) != "sessions" || d.enqueued("shop", "t0") {
		t.Errorf("1001 sessions: %+v", p)
	}
	for _, want := range []BatchAnswer{{Enqueued: 1000}, {Duplicates: 1000}} {
		var got BatchAnswer
		shop.do(http.MethodPost, "/v1/sessions:batch", map[string]any{"sessions": sessions[:1000]}).into(http.StatusOK, &got)
		if got.Enqueued != want.Enqueued || got.Duplicates != want.Duplicates || len(got.Results) != 1000 {
			t.Errorf("%d enqueued, %d duplicates", got.Enqueued, got.Duplicates)
		}
		for i, r := range got.Results {
			if r.Token != fmt.Sprint("t", i) {
				t.Fatalf("result %d is of %s", i, r.Token)
			}
		}
	}
}

func TestBatch_RefusesWhatIsNoBatch(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for body, fields := range map[string]string{
		`{}`: "sessions", `{"sessions":[]}`: "sessions", `{"sessions":null}`: "sessions", `{"sessions":{}}`: "sessions", `[]`: "body",
		`{"sessions":[{}],"more":1}`: "more", `{"session":[{}]}`: "session sessions",
	} {
		p := d.as("shop").do(http.MethodPost, "/v1/sessions:batch", body).problem(http.StatusUnprocessableEntity, "invalid")
		if got := fieldsOf(p.Errors); got != fields {
			t.Errorf("%s: %s, want %s", body, got, fields)
		}
	}
}

func TestCancel_IsAnOutcomeLikeAnyOther(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		d := newDeskOn(t, rdb)
		shop := d.as("shop")
		shop.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
		for range 2 {
			if s := shop.do(http.MethodDelete, "/v1/sessions/a", nil).session(http.StatusOK); s.State != "cancelled" || s.EndedAt == nil {
				t.Errorf("got %+v", s)
			}
		}
		shop.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusConflict, "cancelled")
		shop.do(http.MethodDelete, "/v1/sessions/b", nil).problem(http.StatusNotFound, "not_found")
		shop.do(http.MethodPost, "/v1/sessions/b/redeliver", nil).problem(http.StatusNotFound, "not_found")
	})
}

func TestCancel_TellsOfTheOutcomeThatWasFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	d.seal("shop", "a")
	p := shop.do(http.MethodDelete, "/v1/sessions/a", nil).problem(http.StatusConflict, "outcome_first")
	if p.Session == nil || p.Session.State != "delivering" || p.Session.Outcome == nil || *p.Session.Outcome != "identification.refused" {
		t.Errorf("the session is %+v", p.Session)
	}
	shop.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusConflict, "not_given_up")
}

// A session that no worker took yet has no record, and is known all the same.
func TestRedeliver_OfAWaitingSessionIsAConflict(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	shop.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	shop.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusConflict, "not_given_up")
}
