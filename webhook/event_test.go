package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// completedEvent is the event of the design, with every field set.
func completedEvent() Event {
	return Event{
		Type:      Completed,
		Timestamp: time.Date(2026, 11, 21, 20, 51, 3, 123_456_789, time.UTC),
		Data: Data{
			Token:       "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f",
			Reference:   "order-1842",
			Method:      "smart_id",
			Person:      &Person{Name: "NAME", Surname: "SURNAME", Code: "30303039914", Country: "LT"},
			PEPs:        &Check{Result: Clear},
			Sanctions:   &Check{Result: Hit, Records: []json.RawMessage{json.RawMessage(`{"full_name":"A & B <c>"}`)}},
			Certificate: json.RawMessage(`{"name":"\/C=LT\/CN=SURNAME,NAME"}`),
			Upstream:    json.RawMessage(`{"control_code":"1234"}`),
		},
	}
}

func TestMarshal_WritesTheDocumentedBody(t *testing.T) {
	t.Parallel()
	const want = `{"type":"identification.completed","timestamp":"2026-11-21T20:51:03.123Z","data":{` +
		`"token":"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f","reference":"order-1842","method":"smart_id",` +
		`"person":{"name":"NAME","surname":"SURNAME","code":"30303039914","country":"LT"},` +
		`"peps":{"result":"clear","records":[]},` +
		`"sanctions":{"result":"hit","records":[{"full_name":"A & B <c>"}]},` +
		`"certificate":{"name":"\/C=LT\/CN=SURNAME,NAME"},"error":null,"upstream":{"control_code":"1234"}}}`
	for range 3 {
		got, err := completedEvent().Marshal()
		if err != nil || string(got) != want {
			t.Fatalf("Marshal() = %s, %v\nwant %s", got, err, want)
		}
	}
}

func TestMarshal_WritesNullForWhatThereIsNot(t *testing.T) {
	t.Parallel()
	e := Event{
		Type:      Refused,
		Timestamp: time.Date(2026, 1, 2, 5, 4, 5, 0, time.FixedZone("EET", 2*3600)),
		Data:      Data{Token: "t", Method: "mobile_id", Error: &Error{Code: 40020, Reason: "refused", Message: "no"}},
	}
	const want = `{"type":"identification.refused","timestamp":"2026-01-02T03:04:05.000Z","data":{"token":"t",` +
		`"reference":"","method":"mobile_id","person":null,"peps":null,"sanctions":null,"certificate":null,` +
		`"error":{"code":40020,"reason":"refused","message":"no"}}}`
	if got, err := e.Marshal(); err != nil || string(got) != want {
		t.Errorf("Marshal() = %s, %v\nwant %s", got, err, want)
	}
	if got, err := json.Marshal(e); err != nil || string(got) != want {
		t.Errorf("json.Marshal = %s, %v\nwant %s", got, err, want)
	}
}

func TestMarshal_RefusesWhatIsNotJSONWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	breaks := map[string]func(*Event){
		"certificate": func(e *Event) { e.Data.Certificate = json.RawMessage(`{PRIVATE`) },
		"upstream":    func(e *Event) { e.Data.Upstream = json.RawMessage(`PRIVATE`) },
		"record":      func(e *Event) { e.Data.Sanctions.Records[0] = json.RawMessage(`"PRIVATE`) },
		"year 10000":  func(e *Event) { e.Timestamp = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year -1":     func(e *Event) { e.Timestamp = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
	}
	for name, do := range breaks {
		e := completedEvent()
		do(&e)
		body, err := e.Marshal()
		if !errors.Is(err, ErrEvent) || body != nil || strings.Contains(err.Error(), "P") {
			t.Errorf("%s: Marshal() = %s, %v; want only ErrEvent, nothing quoted", name, body, err)
		}
	}
}

func TestParse_ReadsWhatMarshalWrote(t *testing.T) {
	t.Parallel()
	want := completedEvent()
	body, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	want.Timestamp = want.Timestamp.Truncate(time.Millisecond)
	want.Data.PEPs.Records = []json.RawMessage{} // an empty list comes back as one
	if !reflect.DeepEqual(got, want) {
		gotJSON, _ := got.Marshal()
		t.Errorf("Parse(Marshal(e)) = %s\nwant %s", gotJSON, body)
	}
	again, err := got.Marshal()
	if err != nil || !bytes.Equal(again, body) {
		t.Errorf("Marshal(Parse(b)) = %s, %v\nwant %s", again, err, body)
	}
}

func TestParse_ToleratesWhatALaterVersionMayAdd(t *testing.T) {
	t.Parallel()
	const body = `{"type":"identification.paused","version":2,"timestamp":"2026-11-21T22:51:03+02:00","data":{
		"token":"t","new":{"a":[1]},"certificate":null,"upstream":null,"peps":{"result":"partial","score":1},
		"sanctions":{"records":null},"error":{"code":1,"reason":"new_reason","message":"","hint":"x"}}}`
	e, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if e.Type != "identification.paused" || e.Data.Error.Reason != "new_reason" || e.Data.PEPs.Result != "partial" {
		t.Error("an unknown type, reason or result did not come through")
	}
	if e.Data.Sanctions.Result != Unknown {
		t.Errorf("an absent result is %q, want unknown", e.Data.Sanctions.Result)
	}
	if e.Data.PEPs.Records == nil || e.Data.Sanctions.Records == nil {
		t.Error("a check without records has nil and not an empty list")
	}
	if e.Data.Certificate != nil || e.Data.Upstream != nil {
		t.Error("null certificate or upstream is not nil")
	}
}

func TestParse_RefusesWhatReceiversCannotRelyOn(t *testing.T) {
	t.Parallel()
	const full = `{"type":"identification.completed","timestamp":"2026-11-21T20:51:03.123Z","data":{"token":"t",` +
		`"person":{"name":"N","surname":"S","code":"3","country":"LT"},` +
		`"peps":{"result":"clear","records":[]},"sanctions":{"result":"clear","records":[]}}}`
	if _, err := Parse([]byte(full)); err != nil {
		t.Fatalf("the body that the rows change is refused itself: %v", err)
	}
	tests := []struct{ name, old, new, want string }{
		{"empty", full, ``, "not JSON"},
		{"cut", `}}}`, `}}`, "not JSON"},
		{"trailing data", `}}}`, `}}}{}`, "not JSON"},
		{"list", full, `[]`, "not an object"},
		{"data a list", full, `{"type":"x","timestamp":"2026-11-21T20:51:03Z","data":[]}`, "wrong type of field data"},
		{"check a list", `{"result":"clear","records":[]}`, `[]`, "wrong type of field data.peps"},
		{"null", full, `null`, "no type"},
		{"type missing", `"type"`, `"kind"`, "no type"},
		{"type a number", `"identification.completed"`, `30303039914`, "wrong type of field type"},
		{"timestamp missing", `"timestamp"`, `"time"`, "no timestamp"},
		{"timestamp text", `2026-11-21T20`, `PRIVATE`, "timestamp is not RFC 3339"},
		{"token missing", `"token"`, `"tok"`, "no token"},
		{"code a number", `"code":"3"`, `"code":30303039914`, "wrong type of field data.person.code"},
		{"person missing", `"person"`, `"p"`, "person's code"},
		{"code empty", `"code":"3"`, `"code":""`, "person's code"},
		{"peps missing", `"peps"`, `"p"`, "both checks"},
		{"sanctions null", `"sanctions":{"result":"clear","records":[]}`, `"sanctions":null`, "both checks"},
		{"clear with a record", `"clear","records":[]`, `"clear","records":[{"id":1}]`, "clear and has records"},
	}
	for _, tt := range tests {
		body := strings.Replace(full, tt.old, tt.new, 1)
		_, err := Parse([]byte(body))
		if !errors.Is(err, ErrEvent) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Parse(...) error %v, want ErrEvent with %q", tt.name, err, tt.want)
			continue
		}
		for _, private := range []string{"PRIVATE", "30303039914"} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("%s: the error quotes the body: %v", tt.name, err)
			}
		}
	}
}
