package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// receiver serves on loopback for one test.
func receiver(tb testing.TB, handle http.HandlerFunc) string {
	tb.Helper()
	srv := httptest.NewServer(handle)
	tb.Cleanup(srv.Close)
	return srv.URL + "/hook?key=canary"
}

func TestNewSender_ReportsAllFaultsTogether(t *testing.T) {
	t.Parallel()
	_, err := NewSender(SenderConfig{
		Timeout:       -1,
		MaxConns:      -1,
		AllowNetworks: []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")},
		UserAgent:     "a\r\nb",
	})
	for _, want := range []string{"Signer", "Timeout", "MaxConns", "AllowNetworks", "UserAgent"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestSend_PostsASignedEvent(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	body, err := completedEvent().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		id, event, err := Verifier{Secrets: []Secret{secret}}.Request(r)
		if err != nil || id != "msg_1" || event.Data.Person.Code != "30303039914" {
			t.Errorf("Request = %q, %v", id, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "identwatch", "Accept-Encoding": "", "Content-Length": strconv.Itoa(len(body)),
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if r.Method != http.MethodPost || r.URL.RequestURI() != "/hook?key=canary" {
			t.Errorf("%s %s", r.Method, r.URL.RequestURI())
		}
		w.WriteHeader(http.StatusAccepted)
	})
	s := newTestSender(t, func(cfg *SenderConfig) { cfg.Signer = mustSigner(t, nil, secret) })
	want := Result{Verdict: Delivered, Status: 202, Detail: "HTTP 202"}
	if got := s.Send(t.Context(), url, "msg_1", body); got != want {
		t.Errorf("Send = %+v, want %+v", got, want)
	}
}

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSend_SignsEachAttemptAnewUnderOneID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		secret := NewSecret()
		var stamps, ids []string
		s := newTestSender(t, func(cfg *SenderConfig) {
			cfg.Signer = mustSigner(t, nil, secret)
			cfg.UserAgent = "other/1"
			cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if id, _, err := (Verifier{Secrets: []Secret{secret}}).Request(r); !errors.Is(err, ErrEvent) || r.UserAgent() != "other/1" {
					t.Errorf("Request = %q, %v from %s", id, err, r.UserAgent())
				}
				stamps, ids = append(stamps, r.Header.Get(HeaderTimestamp)), append(ids, r.Header.Get(HeaderID))
				return &http.Response{StatusCode: http.StatusInternalServerError, Body: http.NoBody}, nil
			})
		})
		for range 2 {
			s.Send(t.Context(), "https://receiver.example/", "msg_1", []byte("{}"))
			<-time.After(time.Hour)
		}
		if len(stamps) != 2 || stamps[0] == stamps[1] || ids[0] != "msg_1" || ids[1] != "msg_1" {
			t.Errorf("timestamps %v, ids %v; want two timestamps and one id", stamps, ids)
		}
	})
}

func TestSend_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	target := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{target, "/other", "", "::not a url", "http://169.254.169.254/latest/", "https://[::1]:6379/", "file:///etc/passwd"} {
			url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			want := Result{Status: status, Detail: fmt.Sprintf("redirect not followed (HTTP %d)", status)}
			if got := newTestSender(t).Send(t.Context(), url, "msg_1", nil); got != want {
				t.Errorf("to %q: %+v, want %+v", location, got, want)
			}
		}
	}
}

func TestSend_ReportsRetryAfterUnlessDelivered(t *testing.T) {
	t.Parallel()
	s := newTestSender(t)
	for status, want := range map[int]time.Duration{503: 2 * time.Minute, 429: 2 * time.Minute, 410: 2 * time.Minute, 204: 0} {
		url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(status)
		})
		if got := s.Send(t.Context(), url, "msg_1", nil); got.RetryAfter != want || got.Status != status {
			t.Errorf("%d: %+v, want RetryAfter %s", status, got, want)
		}
	}
}

func TestSend_RefusesBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	s := newTestSender(t, func(cfg *SenderConfig) {
		cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			t.Error("a request was sent")
			return nil, io.EOF
		})
	})
	for _, tt := range []struct{ url, id, detail string }{
		{"ftp://receiver.example/", "msg_1", "callback URL not allowed"},
		{"https://169.254.169.254/", "msg_1", "callback URL not allowed"},
		{"https://receiver.example/", "", "webhook-id not allowed"},
		{"https://receiver.example/", "msg 1", "webhook-id not allowed"},
		{"https://receiver.example/", "msg_1\r\nX: y", "webhook-id not allowed"},
		{"https://receiver.example/", strings.Repeat("x", 257), "webhook-id not allowed"},
	} {
		if got := s.Send(t.Context(), tt.url, tt.id, nil); got != (Result{Cause: CauseRules, Detail: tt.detail}) {
			t.Errorf("%q, id %.10q: %+v, want %q", tt.url, tt.id, got, tt.detail)
		}
	}
}

// hangUp closes the connection without an answer.
func hangUp(tb testing.TB, w http.ResponseWriter) {
	tb.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		tb.Error(err)
		return
	}
	conn.Close()
}

func TestSend_IsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	secret, key := NewSecret(), NewSigningKey()
	v := Verifier{Secrets: []Secret{secret}, PublicKeys: []PublicKey{key.Public()}}
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := v.Request(r); !errors.Is(err, ErrEvent) {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	s := newTestSender(t, func(cfg *SenderConfig) { cfg.Signer = mustSigner(t, &key, secret) })
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if got := s.Send(t.Context(), url, fmt.Sprintf("msg_%d", i), []byte("{}")); got.Verdict != Delivered {
				t.Errorf("%+v", got)
			}
		})
	}
	wg.Wait()
}

func TestSend_DetailNeverQuotes(t *testing.T) {
	t.Parallel()
	var result *http.Response
	var fault error
	s := newTestSender(t, func(cfg *SenderConfig) {
		cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return result, fault })
	})
	canary := errors.New("Post https://canary.example/canary: canary")
	for _, err := range []error{canary, context.Canceled, context.DeadlineExceeded, fmt.Errorf("%w: %w", io.EOF, canary)} {
		result, fault = nil, err
		got := s.Send(t.Context(), "https://canary.example/canary?canary", "canary", []byte("canary"))
		if got.Verdict != NotDelivered || got.Detail == "" || strings.Contains(got.Detail, "canary") {
			t.Errorf("transport error %v: %+v", err, got)
		}
	}
	fault = nil
	for _, status := range []int{200, 302, 410, 500} {
		result = &http.Response{
			StatusCode: status, Status: "canary", Body: io.NopCloser(strings.NewReader("canary")),
			Header: http.Header{"Location": {"https://canary.example"}, "Retry-After": {"canary"}},
		}
		got := s.Send(t.Context(), "https://canary.example/canary?canary", "canary", []byte("canary"))
		if got.Status != status || strings.Contains(fmt.Sprintf("%+v", got), "canary") {
			t.Errorf("status %d: %+v", status, got)
		}
	}
}
