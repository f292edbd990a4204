package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrEvent is wrapped by every error of [Parse] and [Event.Marshal]. The errors say which rule was broken and never
// quote what was sent.
var ErrEvent = errors.New("webhook: event not valid")

// Type says how an identification ended. Receivers acknowledge types they do not know and ignore them.
type Type string

// The types that identwatch sends. Each session ends in exactly one.
const (
	// Completed: the person confirmed; Data has Person, PEPs, Sanctions and Certificate.
	Completed Type = "identification.completed"
	// Refused: the person said no.
	Refused Type = "identification.refused"
	// Expired: the person did not answer in time.
	Expired Type = "identification.expired"
	// Failed: it could not be finished; Data.Error says why.
	Failed Type = "identification.failed"
)

// Test is an event of no session, which somebody asked for to try a receiver; see [NewTestEvent]. Receivers acknowledge
// and ignore it.
const Test Type = "identification.test"

// Event is what a receiver is told of one session. Every attempt to deliver it carries the same data.
type Event struct {
	Type Type `json:"type"`
	// Timestamp is when the outcome was known, not when it was posted. It is written in UTC with milliseconds.
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is the session and its outcome. It holds personal data and prints as [redacted].
type Data struct {
	// Token is MarkSign's session token, as it was enqueued.
	Token string `json:"token"`
	// Reference is the application's own, empty where it gave none.
	Reference string `json:"reference"`
	// Method is smart_id or mobile_id.
	Method string `json:"method"`
	// Person is nil unless the type is Completed, or Test.
	Person *Person `json:"person"`
	// PEPs and Sanctions are nil unless the type is Completed, or Test.
	PEPs      *Check `json:"peps"`
	Sanctions *Check `json:"sanctions"`
	// Certificate is the object that MarkSign sent, nil for null or none.
	Certificate json.RawMessage `json:"certificate"`
	// Error is nil exactly where the type is Completed, or Test.
	Error *Error `json:"error"`
	// Upstream holds whatever else MarkSign sent, unchanged; nil for nothing.
	Upstream json.RawMessage `json:"upstream,omitempty"`
}

// Person is who confirmed, in MarkSign's words. It prints as [redacted].
type Person struct {
	Name    string `json:"name"`
	Surname string `json:"surname"`
	// Code is the national person code.
	Code string `json:"code"`
	// Country issued the code: LT, LV or EE.
	Country string `json:"country"`
}

// Error says why a session ended without an identification.
type Error struct {
	// Code is MarkSign's number, 0 where identwatch ended the session itself.
	Code int `json:"code"`
	// Reason is a stable word to branch on, one of the Reason constants.
	Reason string `json:"reason"`
	// Message is for people, and may be in MarkSign's language.
	Message string `json:"message"`
}

// timestampLayout is RFC 3339 with the milliseconds always written.
const timestampLayout = "2006-01-02T15:04:05.000Z07:00"

// Marshal writes the event as it is posted: the same bytes for the same event, and no HTML escaping, so that what
// MarkSign sent stays as it was but for white space between tokens. It fails, wrapping [ErrEvent], where the
// certificate, the upstream object or a record is not JSON, or the timestamp is outside the years 0 to 9999.
func (e Event) Marshal() ([]byte, error) {
	at := e.Timestamp.UTC()
	if at.Year() < 0 || at.Year() > 9999 {
		return nil, fmt.Errorf("%w: timestamp out of range", ErrEvent)
	}
	return encode(struct {
		Type      Type   `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      Data   `json:"data"`
	}{e.Type, at.Format(timestampLayout), e.Data})
}

// MarshalJSON is [Event.Marshal]; encoding/json then escapes HTML in it unless told otherwise.
func (e Event) MarshalJSON() ([]byte, error) { return e.Marshal() }

// encode writes v as compact JSON without HTML escaping. Its error quotes nothing of v.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: the certificate, the upstream object or a record is not JSON", ErrEvent)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Parse reads a posted body. Call it only on a body whose signature was verified; [Verifier.Request] does both.
//
// It is tolerant of what a later version may add (unknown fields, types, methods, reasons and check results) and strict
// in what a receiver relies on: there is a type, a timestamp and a token; a Completed event has a Person with a code and
// both checks; a check that says clear has no records. Its errors wrap [ErrEvent].
func Parse(body []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %s", ErrEvent, jsonFault(err))
	}
	e.Data.Certificate = presentJSON(e.Data.Certificate)
	e.Data.Upstream = presentJSON(e.Data.Upstream)
	e.Data.PEPs.complete()
	e.Data.Sanctions.complete()
	if fault := e.fault(); fault != "" {
		return Event{}, fmt.Errorf("%w: %s", ErrEvent, fault)
	}
	return e, nil
}

// fault names the first promise to receivers that the event breaks, empty for none.
func (e Event) fault() string {
	switch d := e.Data; {
	case e.Type == "":
		return "no type"
	case e.Timestamp.IsZero():
		return "no timestamp"
	case d.Token == "":
		return "no token"
	case d.PEPs.falselyClear() || d.Sanctions.falselyClear():
		return "a check says clear and has records"
	case e.Type != Completed:
		return ""
	case d.Person == nil || d.Person.Code == "":
		return "completed without a person's code"
	case d.PEPs == nil || d.Sanctions == nil:
		return "completed without both checks"
	}
	return ""
}

// jsonFault describes an error of encoding/json without its text, which may quote the body.
func jsonFault(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return "not an object"
		}
		return "wrong type of field " + wrong.Field // a name of ours, not of the body
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "timestamp is not RFC 3339"
	}
	return "not JSON"
}

// presentJSON makes JSON's null Go's nil.
func presentJSON(raw json.RawMessage) json.RawMessage {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}
