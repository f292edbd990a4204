package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// NewSession is a session to enqueue. The account is the key's.
type NewSession struct {
	Token       string    `json:"token" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" example:"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f" doc:"What MarkSign's start call returned. With the account it identifies the session, and is the request's idempotency key. Neither . nor .. will do."`
	Method      string    `json:"method" enum:"smart_id,mobile_id" doc:"The service that the session was started with."`
	Locale      string    `json:"locale,omitempty" enum:"lt,en," doc:"The language of MarkSign's messages. Absent or empty: what the service is configured with."`
	CallbackURL string    `json:"callback_url,omitempty" maxLength:"2048" format:"uri" example:"https://shop.example/webhooks/identwatch" doc:"Where the event is posted: https (or http, where the service allows it), without user information or fragment, on port 443 or one above 1023. Absent: the account's own. Public: it is shown in the queue."`
	Reference   string    `json:"reference,omitempty" maxLength:"200" example:"order-1842" doc:"The application's own name for the session; it comes back in the event. At most 200 bytes that can be printed, and no place for personal data."`
	Checks      []string  `json:"checks,omitempty" enum:"peps,sanctions" nullable:"false" uniqueItems:"true" doc:"The screenings that MarkSign was asked for at the start. Only these can be reported as clear."`
	StartedAt   time.Time `json:"started_at,omitzero" example:"2026-11-21T20:50:41Z" doc:"When the session was started, RFC 3339. It steers the pace of polling and nothing else. Absent: now."`
}

// TestEventRequest says where a test event goes.
type TestEventRequest struct {
	CallbackURL string `json:"callback_url,omitempty" maxLength:"2048" format:"uri" example:"https://shop.example/webhooks/identwatch" doc:"Absent: the account's own."`
}

// Batch is many sessions at once.
type Batch struct {
	Sessions []NewSession `json:"sessions" minItems:"1" maxItems:"1000" nullable:"false" doc:"At most 1000."`
}

const maxBatch = 1000

const mustBeString = "must be a string"

// readSession returns the session that a body asks for, and every fault.
func (a *account) readSession(object json.RawMessage) (tasks.Session, faults) {
	f := readFields(object)
	if f.left == nil {
		return tasks.Session{}, f.faults
	}
	s := tasks.Session{Account: a.name}
	f.take("token", mustBeString, &s.Token)
	f.take("method", mustBeString, &s.Method)
	f.take("locale", mustBeString, &s.Locale)
	f.takeCallback(&s.CallbackURL)
	f.take("reference", mustBeString, &s.Reference)
	f.take("checks", "must be a list of strings", &s.Checks)
	f.take("started_at", "must be a time after RFC 3339, such as 2026-11-21T20:50:41Z", &s.StartedAt)
	if invalid, found := errors.AsType[*tasks.ValidationError](s.Validate()); found {
		for _, e := range invalid.Fields {
			f.note(e.Field, e.Problem)
		}
	}
	a.checkCallback(f, s.CallbackURL)
	f.refuseRest()
	return s, f.faults
}

// readTestEvent returns where a test event is to go, and every fault.
func (a *account) readTestEvent(body json.RawMessage) (callbackURL string, found faults) {
	if len(body) == 0 {
		body = json.RawMessage("{}")
	}
	f := readFields(body)
	if f.left == nil {
		return "", f.faults
	}
	f.takeCallback(&callbackURL)
	a.checkCallback(f, callbackURL)
	f.refuseRest()
	return a.callback(callbackURL), f.faults
}

// takeCallback takes a callback URL. An empty one is no URL: the document forbids it.
func (f *fields) takeCallback(to *string) {
	if string(f.left["callback_url"]) == `""` {
		f.note("callback_url", "is empty; leave it out to use the account's own")
	}
	f.take("callback_url", mustBeString, to)
}

// callback is where an event goes.
func (a *account) callback(asked string) string {
	if asked == "" {
		return a.callbackURL
	}
	return asked
}

// checkCallback notes what speaks against posting to a URL.
func (a *account) checkCallback(f *fields, asked string) {
	target := a.callback(asked)
	if target == "" {
		f.note("callback_url", "is required, for the account has none")
		return
	}
	if target != a.callbackURL && !a.hosts.Allows(target) {
		f.note("callback_url", "names a host that is not among the account's CALLBACK_HOSTS")
	}
	switch err := a.sender.CheckURL(target); {
	case errors.Is(err, webhook.ErrAddress):
		// Not which of the rules: it would say where Redis is.
		f.note("callback_url", "has an address that is not allowed: it must be public, or in the service's CALLBACK_ALLOW_NETWORKS")
	case err != nil:
		f.note("callback_url", strings.TrimPrefix(err.Error(), "webhook: callback URL "))
	}
}

// readBatch returns the bodies of a batch's sessions, or every fault of the
// batch itself.
func readBatch(ctx context.Context, body json.RawMessage) ([]json.RawMessage, faults, error) {
	f := readFields(body)
	if f.left == nil {
		return nil, f.faults, nil
	}
	raw, present := f.left["sessions"]
	delete(f.left, "sessions")
	var sessions []json.RawMessage
	if !present {
		f.note("sessions", "is required")
	} else if err := f.readList(ctx, raw, &sessions); err != nil {
		return nil, faults{}, err
	}
	f.refuseRest()
	return sessions, f.faults, nil
}

// readList takes the list of a batch apart, and no more of it than a batch may
// have. Its error is that of ctx, which ended first.
func (f *fields) readList(ctx context.Context, list json.RawMessage, sessions *[]json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(list))
	if first, _ := dec.Token(); first != json.Delim('[') {
		f.note("sessions", "must be a list of sessions")
		return nil
	}
	for dec.More() {
		if len(*sessions) == maxBatch {
			f.note("sessions", "has more than 1000 sessions")
			return nil
		}
		var session json.RawMessage
		if err := errors.Join(ctx.Err(), dec.Decode(&session)); err != nil {
			return err
		}
		*sessions = append(*sessions, session)
	}
	if len(*sessions) == 0 {
		f.note("sessions", "is empty")
	}
	return nil
}
