package examples_test

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
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t, "tok")
		s := newSite(t, l, "WEBHOOK_SECRETS="+secret.Encode())
		s.receive()
		signed := func(secret webhook.Secret, at time.Time) http.Header {
			signer, err := webhook.NewSigner([]webhook.Secret{secret}, nil)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			signer.Sign(h, "evt_1", at, body)
			return h
		}
		without := func(name string) http.Header {
			h := signed(secret, time.Now())
			h.Del(name)
			return h
		}
		for why, header := range map[string]http.Header{
			webhook.HeaderID:        without(webhook.HeaderID),
			webhook.HeaderTimestamp: without(webhook.HeaderTimestamp),
			webhook.HeaderSignature: without(webhook.HeaderSignature),
			"timestamp ":            signed(secret, time.Now().Add(-6*time.Minute)),
			"no signature matches":  signed(webhook.NewSecret(), time.Now()),
		} {
			before := len(s.out.String())
			if status, _ := request(t, http.MethodPost, s.url, header, body); status != http.StatusUnauthorized {
				t.Errorf("%s: HTTP %d", why, status)
			}
			eventually(t, "it says "+why, func() bool {
				said := s.out.String()[before:]
				return strings.Contains(said, "refused: ") && strings.Contains(said, why)
			})
		}
		s.checkOutput(0, secret.Encode())
	})
}

// An event as long as an answer of MarkSign can be arrives.
func TestReceivers_TakeTheLongestEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, l language) {
		secret, body := webhook.NewSecret(), event(t, "tok")
		s := newSite(t, l, "WEBHOOK_SECRETS="+secret.Encode())
		s.receive()
		body = append(body, bytes.Repeat([]byte(" "), webhook.MaxBody-len(body))...) // JSON may end in white space
		if r := newSender(t, nil, secret).Send(t.Context(), s.url, "evt_1", body); r.Verdict != webhook.Delivered {
			t.Fatal(r.Detail)
		}
		s.work()
		eventually(t, "it is handled", func() bool { return len(s.look().handled) == 1 })
		s.checkOutput(1, secret.Encode())
	})
}
