package docs

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// Who looks into the log of a receiver that answers 401 finds what to look at, and nothing of the request or the secret.
func TestReceivers_SayWhyTheyRefuse(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t)
		p := start(t, l, secret)
		without := func(name string) http.Header {
			h := signedAt(t, secret, time.Now(), body)
			h.Del(name)
			return h
		}
		for why, header := range map[string]http.Header{
			webhook.HeaderID:        without(webhook.HeaderID),
			webhook.HeaderTimestamp: without(webhook.HeaderTimestamp),
			webhook.HeaderSignature: without(webhook.HeaderSignature),
			"timestamp ":            signedAt(t, secret, time.Now().Add(-6*time.Minute), body),
			"no signature matches":  signedAt(t, webhook.NewSecret(), time.Now(), body),
		} {
			before := len(p.output())
			if status := post(t, p.url, header, body); status != http.StatusUnauthorized {
				t.Errorf("%s: HTTP %d", why, status)
			}
			awaitOutput(t, p, before, "refused: ", why)
		}
		for _, secret := range []string{secret.Encode()[6:], "20101010001", "GALVOTOJI"} {
			if strings.Contains(p.output(), secret) {
				t.Errorf("it wrote %q", secret)
			}
		}
	})
}

// awaitOutput waits for texts in what a receiver writes from there on.
func awaitOutput(t *testing.T, p *process, from int, texts ...string) {
	t.Helper()
	var missing string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		missing = ""
		for _, text := range texts {
			if !strings.Contains(p.output()[from:], text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
	}
	t.Errorf("it does not say %q: %s", missing, p.output()[from:])
}

// An event as long as an answer of MarkSign can be arrives; what is longer than any event is not kept.
func TestReceivers_TakeTheLongestEventAndNothingLonger(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret := webhook.NewSecret()
		p, s := start(t, l, secret), sender(t, secret)
		padded := func(size int) []byte { // JSON may end in white space
			body := event(t)
			return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
		}
		if r := s.Send(t.Context(), p.url, "evt_1", padded(webhook.MaxBody)); r.Verdict != webhook.Delivered || len(p.inbox()) != 1 {
			t.Errorf("%d bytes: %s\n%s", webhook.MaxBody, r.Detail, p.output())
		}
		for _, size := range []int{webhook.MaxBody + 1, 4 * webhook.MaxBody} {
			if r := s.Send(t.Context(), p.url, "evt_2", padded(size)); r.Verdict == webhook.Delivered || r.Status >= 500 || len(p.inbox()) != 1 {
				t.Errorf("%d bytes: %s\n%s", size, r.Detail, p.output())
			}
		}
	})
}

// What is signed and no JSON is identwatch's all the same. A receiver that stored it must not ask for it again.
func TestReceivers_AcknowledgeWhatTheyStored(t *testing.T) {
	eachReceiver(t, func(t *testing.T, l language) {
		secret := webhook.NewSecret()
		p, s := start(t, l, secret), sender(t, secret)
		for id, body := range map[string]string{"evt_1": "no JSON", "evt_2": `[1]`, "evt_3": `{"type":{}}`, "evt_4": "null"} {
			r := s.Send(t.Context(), p.url, id, []byte(body))
			_, stored := p.inbox()[id+".json"]
			if stored != (r.Verdict == webhook.Delivered) || r.Status >= 500 || r.Status == 0 {
				t.Errorf("%s: %s, stored %v\n%s", body, r.Detail, stored, p.output())
			}
		}
	})
}
