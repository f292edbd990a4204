package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// unknownFields is an object with so many fields that nobody knows.
func unknownFields(n int) string {
	var b strings.Builder
	b.WriteString(`{"sessions":[{}]`)
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":0`, i)
	}
	return b.String() + "}"
}

func TestFields_AreListedUpToABound(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	shop := d.as("shop")
	p := shop.do(http.MethodPost, "/v1/sessions:batch", unknownFields(23)).problem(http.StatusUnprocessableEntity, "invalid")
	if len(p.Errors) != maxFaults || p.More != 3 || p.Detail != "23 fields are invalid. The first 20 are listed." {
		t.Errorf("%d are listed, %d more: %s", len(p.Errors), p.More, p.Detail)
	}
	var got BatchAnswer
	shop.do(http.MethodPost, "/v1/sessions:batch", `{"sessions":[`+unknownFields(22)+`]}`).into(http.StatusOK, &got)
	if r := got.Results[0]; len(r.Errors) != maxFaults || r.More != 5 { // sessions, token and method are wrong too
		t.Errorf("%d are listed, %d more", len(r.Errors), r.More)
	}
	for body, want := range map[string]string{
		unknownFields(maxFields): "has more than 64 fields",
		`{"` + strings.Repeat("k", maxName+1) + `":0,"token":"a","method":"smart_id"}`: "has a field whose name is longer than 64 bytes",
		`{"token":"a","method":"smart_id","token":"b"}`:                                "is in this object twice",
	} {
		p := shop.do(http.MethodPost, "/v1/sessions", body).problem(http.StatusUnprocessableEntity, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Problem != want {
			t.Errorf("%.50s…: %+v, want %s", body, p.Errors, want)
		}
	}
}

// What is read of an object is bounded, so that no body costs more than its
// length. The bytes that are allocated are counted, and not the time.
func TestFields_CostNoMoreThanTheirBound(t *testing.T) {
	allocated := func(text string) uint64 {
		body := json.RawMessage(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			if f := readFields(body); f.left != nil {
				t.Fatal("so many fields are read")
			}
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	few, many := allocated(unknownFields(2*maxFields)), allocated(unknownFields(200_000))
	if many > 2*few {
		t.Errorf("%d bytes are allocated for a body with few fields, %d with many", few, many)
	}
}

func TestBatch_StopsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bodies := make([]json.RawMessage, 3)
	if _, _, err := readBatch(ctx, json.RawMessage(`{"sessions":[{},{}]}`)); err == nil {
		t.Error("the list was read")
	}
	if _, err := new(account).judge(ctx, bodies); err == nil {
		t.Error("the sessions were judged")
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}
func (unread) Close() error { return nil }

func (d *desk) postUnread(t *testing.T, key, path string, size int64) *httptest.ResponseRecorder {
	r := requestFor(t, http.MethodPost, path)
	r.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	r.Body, r.ContentLength = unread{t}, size
	rec := httptest.NewRecorder()
	d.api.ServeHTTP(rec, r)
	return rec
}

func TestSlots_ABodyIsReadOnlyByWhoHasOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if rec := d.postUnread(t, "iwk_none", "/v1/sessions", 100); rec.Code != http.StatusUnauthorized {
		t.Errorf("without a key: %d", rec.Code)
	}
	held := d.api.keys.find(d.keys["shop"]).slots
	var releases []func()
	for range maxCalls {
		releases = append(releases, held.take(maxBody))
	}
	rec := d.postUnread(t, d.keys["shop"], "/v1/sessions", 100)
	reply{rec.Code, rec.Header(), rec.Body.Bytes(), t}.problem(http.StatusTooManyRequests, "busy")
	releases[0]()
	d.as("shop").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	d.as("shop").do(http.MethodPost, "/v1/sessions", "{").problem(http.StatusBadRequest, "malformed") // gives it back too
	d.as("shop").do(http.MethodPost, "/v1/sessions", aSession("b")).session(http.StatusAccepted)
}

func TestSlots_BoundTheBytesOfLargeBodies(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	held := d.api.keys.find(d.keys["shop"]).slots
	for range 4 {
		defer held.take(maxBatchBody)()
	}
	for _, size := range []int64{maxBatchBody, -1} { // -1: it does not say
		if rec := d.postUnread(t, d.keys["shop"], "/v1/sessions:batch", size); rec.Code != http.StatusTooManyRequests {
			t.Errorf("a large batch: %d", rec.Code)
		}
	}
	d.as("shop").do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
	d.as("shop").do(http.MethodPost, "/v1/sessions:batch", `{"sessions":[{}]}`).into(http.StatusOK, new(BatchAnswer))
}
