package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// maxTestEvents is how many test events of an account may be under way at once
// in one process.
const maxTestEvents = 2

// TestEventAnswer is what the receiver made of a test event.
type TestEventAnswer struct {
	Delivered  bool   `json:"delivered" doc:"Whether the receiver answered with 2xx."`
	HTTPStatus *int   `json:"http_status" minimum:"100" maximum:"599" example:"204" doc:"What it answered; null where it gave no answer."`
	Detail     string `json:"detail" example:"HTTP 204" doc:"What happened, in a few fixed words."`
	WebhookID  string `json:"webhook_id" example:"evt_test_5f0c2a9be1c84d7f9a3be0c4d1f2a6b8" doc:"The webhook-id header of the event, another one each time."`
	DurationMS int64  `json:"duration_ms" minimum:"0" example:"87" doc:"How long the attempt took, in milliseconds."`
}

// sendTestEvent posts one signed event to a receiver, once.
func (a *API) sendTestEvent(ctx context.Context, c call) (answer, error) {
	callbackURL, found := c.account.readTestEvent(c.body)
	if found.any() {
		return answer{}, invalid(found)
	}
	select {
	case c.account.tests <- struct{}{}:
		defer func() { <-c.account.tests }()
	default:
		return answer{}, errBusy
	}
	began := time.Now()
	event, err := webhook.NewTestEvent(began).Marshal()
	if err != nil {
		return answer{}, errInternal
	}
	id := newTestID()
	result := c.account.sender.Send(ctx, callbackURL, id, event)
	detail := webhook.PublicDetail(result.Detail)
	if detail != result.Detail {
		hideDuration(ctx, began)
	}
	body := TestEventAnswer{
		Delivered: result.Verdict == webhook.Delivered, Detail: detail,
		WebhookID: id, DurationMS: time.Since(began).Milliseconds(),
	}
	if result.Status != 0 {
		body.HTTPStatus = &result.Status
	}
	return answer{status: http.StatusOK, body: body}, nil
}

// unreachableTime is how long the answer takes that a name is unknown or leads to
// an address that is refused: a look-up takes less, unless its time is out.
const unreachableTime = time.Second

// hideDuration waits, so that the time of an answer does not say either which it was.
func hideDuration(ctx context.Context, began time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(began.Add(unreachableTime))):
	}
}

func newTestID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // it never fails: see crypto/rand
	return "evt_test_" + hex.EncodeToString(raw)
}
