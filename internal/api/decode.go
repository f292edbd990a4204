package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/identwatch/identwatch/tasks"
)

// NewSession is a session to enqueue. The account is the key's.
type NewSession struct {
	Token       string    `json:"token" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" example:"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f" doc:"What MarkSign's start call returned. With the account it identifies the session, and is the request's idempotency key. Neither . nor .. will do."`
	Method      string    `json:"method" enum:"smart_id,mobile_id" doc:"The service that the session was started with."`
	Locale      string    `json:"locale,omitempty" enum:"lt,en" doc:"The language of MarkSign's messages. Absent: what the service is configured with."`
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

// fields are the members of a JSON object, taken out one by one. What is left
// is not known.
type fields struct {
	left   map[string]json.RawMessage
	faults []FieldError
}

// readFields opens an object. For JSON of another kind there is one fault.
func readFields(object json.RawMessage) *fields {
	f := &fields{}
	if err := json.Unmarshal(object, &f.left); err != nil || f.left == nil {
		f.fault("body", "must be an object")
	}
	return f
}

// fault notes what is wrong with a field, the first time.
func (f *fields) fault(field, problem string) {
	if !f.isFaulty(field) {
		f.faults = append(f.faults, FieldError{field, problem})
	}
}

func (f *fields) isFaulty(field string) bool {
	return slices.ContainsFunc(f.faults, func(e FieldError) bool { return e.Field == field })
}

// take reads a field into a value, unless the object lacks it. must says of
// which kind it has to be.
func (f *fields) take(name, must string, value any) {
	raw, present := f.left[name]
	delete(f.left, name)
	if present && (string(raw) == "null" || json.Unmarshal(raw, value) != nil) {
		f.fault(name, must)
	}
}

// refuseRest notes every field that nobody took.
func (f *fields) refuseRest() {
	for _, name := range slices.Sorted(maps.Keys(f.left)) {
		f.fault(name, "is not a field of this object")
	}
}

const mustBeString = "must be a string"

// readSession returns the session that a body asks for, and every fault.
func (a *account) readSession(object json.RawMessage) (tasks.Session, []FieldError) {
	f := readFields(object)
	if f.left == nil {
		return tasks.Session{}, f.faults
	}
	s := tasks.Session{Account: a.name}
	f.take("token", mustBeString, &s.Token)
	f.take("method", mustBeString, &s.Method)
	f.take("locale", mustBeString, &s.Locale)
	f.take("callback_url", mustBeString, &s.CallbackURL)
	f.take("reference", mustBeString, &s.Reference)
	f.take("checks", "must be a list of strings", &s.Checks)
	f.take("started_at", "must be a time after RFC 3339, such as 2026-11-21T20:50:41Z", &s.StartedAt)
	if invalid, found := errors.AsType[*tasks.ValidationError](s.Validate()); found {
		for _, e := range invalid.Fields {
			f.fault(e.Field, e.Problem)
		}
	}
	a.checkCallback(f, s.CallbackURL)
	f.refuseRest()
	return s, f.faults
}

// readTestEvent returns where a test event is to go, and every fault.
func (a *account) readTestEvent(body json.RawMessage) (callbackURL string, faults []FieldError) {
	if len(body) == 0 {
		body = json.RawMessage("{}")
	}
	f := readFields(body)
	if f.left == nil {
		return "", f.faults
	}
	f.take("callback_url", mustBeString, &callbackURL)
	a.checkCallback(f, callbackURL)
	f.refuseRest()
	return a.callback(callbackURL), f.faults
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
		f.fault("callback_url", "is required, for the account has none")
		return
	}
	if err := a.sender.CheckURL(target); err != nil {
		f.fault("callback_url", strings.TrimPrefix(err.Error(), "webhook: callback URL "))
	}
}

// readBatch returns the bodies of a batch's sessions, or every fault of the
// batch itself.
func readBatch(body json.RawMessage) ([]json.RawMessage, []FieldError) {
	f := readFields(body)
	if f.left == nil {
		return nil, f.faults
	}
	var sessions []json.RawMessage
	list := bytes.TrimSpace(f.left["sessions"])
	f.take("sessions", "must be a list of sessions", &sessions)
	switch {
	case len(list) == 0:
		f.fault("sessions", "is required")
	case len(sessions) == 0:
		f.fault("sessions", "is empty")
	case len(sessions) > maxBatch:
		f.fault("sessions", "has more than 1000 sessions")
	}
	f.refuseRest()
	return sessions, f.faults
}
