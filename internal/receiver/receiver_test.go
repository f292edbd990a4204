package receiver

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

const event = `{"type":"identification.refused","timestamp":"2026-11-21T20:51:03Z","data":{"token":"token-1"}}`

// pair is a receiver and the signer that it trusts.
type pair struct {
	*Receiver
	signer *webhook.Signer
}

func newPair(t *testing.T, opts Options) pair {
	t.Helper()
	secret := webhook.NewSecret()
	signer, err := webhook.NewSigner([]webhook.Secret{secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	opts.Verifier = webhook.Verifier{Secrets: []webhook.Secret{secret}}
	return pair{New(opts), signer}
}

func (p pair) post(ctx context.Context, id, body string) int {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader([]byte(body)))
	p.signer.Sign(r.Header, id, time.Now(), []byte(body))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code
}

func TestReceiver_CountsEachEventByItsID(t *testing.T) {
	t.Parallel()
	p := newPair(t, Options{})
	for _, id := range []string{"evt_1", "evt_2", "evt_1"} {
		if got := p.post(t.Context(), id, event); got != http.StatusNoContent {
			t.Errorf("%s: got %d", id, got)
		}
	}
	events, refused := p.Events()
	if len(events) != 2 || refused != 0 {
		t.Fatalf("got %+v and %d refused", events, refused)
	}
	first := events[0]
	if first.ID != "evt_1" || first.Count != 2 || first.Acked != 2 || first.Overlaps != 0 || !first.Verified ||
		first.Type != webhook.Refused || first.Token != "token-1" || first.AckedAt.Before(first.ReceivedAt) {
		t.Errorf("got %+v", first)
	}
}

func TestReceiver_RefusesWhatIsNotVerified(t *testing.T) {
	t.Parallel()
	var told []Delivery
	p := newPair(t, Options{OnDelivery: func(d Delivery) { told = append(told, d) }})
	stranger := newPair(t, Options{})
	stranger.Receiver = p.Receiver
	for _, test := range []struct {
		got, want int
		verdict   string
	}{
		{stranger.post(t.Context(), "evt_1", event), http.StatusUnauthorized, "NOT verified"},
		{p.post(t.Context(), "evt_1", `{"type":"x"}`), http.StatusBadRequest, "verified, but no event"},
		{p.post(t.Context(), "evt_1", strings.Repeat("x", webhook.MaxBody+1)), http.StatusRequestEntityTooLarge, "NOT verified"},
	} {
		if test.got != test.want {
			t.Errorf("got %d, want %d", test.got, test.want)
		}
		if verdict := told[0].Verdict(); verdict != test.verdict {
			t.Errorf("got verdict %s, want %s", verdict, test.verdict)
		}
		told = told[1:]
	}
	if _, refused := p.Events(); refused != 3 {
		t.Errorf("got %d refused, want 3", refused)
	}
	r := httptest.NewRecorder()
	p.ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/", nil))
	if r.Code != http.StatusMethodNotAllowed {
		t.Errorf("a GET got %d", r.Code)
	}
}

func TestReceiver_NoticesOverlapsAndSendersThatGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Options{Conduct: Conduct{Delay: time.Minute}})
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go p.post(impatient, "evt_1", event)
		synctest.Wait()
		p.post(t.Context(), "evt_1", event)
		p.post(t.Context(), "evt_1", event)
		events, _ := p.Events()
		if e := events[0]; e.Count != 3 || e.Overlaps != 1 || e.Acked != 2 {
			t.Errorf("got %+v, want 3 requests, one of which overlapped and one of which went", e)
		}
	})
}

func TestReceiver_DoesNotCountAFailureAsAcknowledged(t *testing.T) {
	t.Parallel()
	p := newPair(t, Options{Conduct: Conduct{Answer: http.StatusServiceUnavailable}})
	if got := p.post(t.Context(), "evt_1", event); got != http.StatusServiceUnavailable {
		t.Errorf("got %d", got)
	}
	if events, _ := p.Events(); events[0].Acked != 0 || !events[0].AckedAt.IsZero() {
		t.Errorf("got %+v", events[0])
	}
}

func TestReceiver_ChangesItsConduct(t *testing.T) {
	t.Parallel()
	var told []Delivery
	p := newPair(t, Options{OnDelivery: func(d Delivery) { told = append(told, d) }})
	p.SetConduct(Conduct{HangUp: true})
	func() {
		defer func() {
			if cause, _ := recover().(error); !errors.Is(cause, http.ErrAbortHandler) {
				t.Error("the connection was not closed")
			}
		}()
		p.post(t.Context(), "evt_1", event)
	}()
	p.SetConduct(Conduct{Answer: http.StatusGone})
	if got := p.post(t.Context(), "evt_1", event); got != http.StatusGone {
		t.Errorf("got %d", got)
	}
	p.SetConduct(Conduct{})
	if got := p.post(t.Context(), "evt_1", event); got != http.StatusNoContent {
		t.Errorf("got %d", got)
	}
	if told[0].Status != 0 || told[1].Status != http.StatusGone {
		t.Errorf("told %d and %d", told[0].Status, told[1].Status)
	}
	if events, _ := p.Events(); events[0].Count != 3 || events[0].Acked != 1 {
		t.Errorf("got %+v", events[0])
	}
}

func TestDelivery_SaysHowARequestIsAnswered(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]Delivery{
		"answered 204":                        {Status: 204},
		"answered 204 after 20s":              {Status: 204, Delay: 20 * time.Second},
		"not answered, the connection closed": {},
	} {
		if got := d.Answered(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
