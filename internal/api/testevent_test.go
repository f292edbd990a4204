package api

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

func TestTestEvent_IsPostedSigned(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ids := map[string]bool{}
	for body, target := range map[string]string{
		"": callback, "{}": callback, `{"callback_url":"https://other.example/hook?a=b"}`: "https://other.example/hook?a=b",
	} {
		var got TestEventAnswer
		var sent any
		if body != "" {
			sent = body
		}
		d.as("shop").do(http.MethodPost, "/v1/events:test", sent).into(http.StatusOK, &got)
		post := d.received[len(d.received)-1]
		if !got.Delivered || got.HTTPStatus == nil || *got.HTTPStatus != 204 || got.Detail != "HTTP 204" || got.DurationMS < 0 || post.URL.String() != target {
			t.Errorf("%s: %+v to %s", body, got, post.URL)
		}
		id, event, err := webhook.Verifier{Secrets: []webhook.Secret{d.secret}}.Request(post)
		if err != nil || id != got.WebhookID || ids[id] || event.Type != webhook.Test {
			t.Errorf("%s: %s of type %s, %v", body, id, event.Type, err)
		}
		ids[id] = true
	}
}

func TestTestEvent_TellsWhatTheReceiverMadeOfIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for want, receive := range map[string]func(*http.Request) (*http.Response, error){
		"HTTP 500": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusInternalServerError, Body: io.NopCloser(strings.NewReader("canary"))}, nil
		},
		"HTTP 410": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusGone, Body: http.NoBody}, nil
		},
		"": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	} {
		d.receive = receive
		var got TestEventAnswer
		reply := d.as("shop").do(http.MethodPost, "/v1/events:test", nil).into(http.StatusOK, &got)
		if got.Delivered || got.Detail == "" || want != "" && got.Detail != want || (got.HTTPStatus == nil) != (want == "") || bytes.Contains(reply.body, []byte("canary")) {
			t.Errorf("%q: %s", want, reply.body)
		}
	}
}

func TestTestEvent_RefusesWhatCannotBePosted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for body, fields := range map[string]string{
		`{"callback_url":"http://app.example/"}`: "callback_url", `{"callback_url":7}`: "callback_url", `{"callback_url":"https://127.0.0.1/"}`: "callback_url",
		`{"url":"https://app.example/"}`: "url", `[]`: "body", `{"callback_url":"ftp://app.example","type":"x"}`: "callback_url type",
	} {
		p := d.as("shop").do(http.MethodPost, "/v1/events:test", body).problem(http.StatusUnprocessableEntity, "invalid")
		if got := fieldsOf(p.Errors); got != fields {
			t.Errorf("%s: %s, want %s", body, got, fields)
		}
	}
	if p := d.as("bare").do(http.MethodPost, "/v1/events:test", nil).problem(http.StatusUnprocessableEntity, "invalid"); fieldsOf(p.Errors) != "callback_url" {
		t.Errorf("without any URL: %+v", p)
	}
	if len(d.received) > 0 {
		t.Errorf("%d were posted", len(d.received))
	}
}

func TestTestEvent_OnlyAFewAtOnceForEachAccount(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	arrived, leave := make(chan bool), make(chan bool)
	d.receive = func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/callback" {
			arrived <- true
			<-leave
		}
		return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
	}
	done := make(chan reply)
	for range maxTestEvents {
		go func() { done <- d.as("shop").do(http.MethodPost, "/v1/events:test", nil) }()
		<-arrived
	}
	d.as("shop").do(http.MethodPost, "/v1/events:test", nil).problem(http.StatusTooManyRequests, "busy")
	other := map[string]string{"callback_url": "https://app.example/other"}
	var got TestEventAnswer
	d.as("crm").do(http.MethodPost, "/v1/events:test", other).into(http.StatusOK, &got)
	close(leave)
	for range maxTestEvents {
		(<-done).into(http.StatusOK, &got)
	}
	d.as("shop").do(http.MethodPost, "/v1/events:test", other).into(http.StatusOK, &got)
}

// The server's own limits are shorter than the receiver takes.
func TestTestEvent_OutlivesTheServersTimeLimits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.receive = func(r *http.Request) (*http.Response, error) {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(3 * time.Second):
			return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
		}
	}
	server := httptest.NewUnstartedServer(d.api)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 2*time.Second, 2*time.Second // enough for the call itself on a busy machine
	server.Start()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/events:test", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = d.as("shop").header.Clone()
	r.Header.Set("Content-Type", "application/json")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(text, []byte(`"delivered":true`)) {
		t.Errorf("%d %s, %v", resp.StatusCode, text, err)
	}
}
