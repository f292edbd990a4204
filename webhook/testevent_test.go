package webhook

import (
	"testing"
	"time"
)

func TestNewTestEvent_IsReadAsWhatItIs(t *testing.T) {
	t.Parallel()
	const want = `{"type":"identification.test","timestamp":"2026-11-21T20:51:03.000Z","data":{` +
		`"token":"test-event-of-no-session","reference":"test","method":"smart_id",` +
		`"person":{"name":"TEST","surname":"EVENT","code":"00000000000","country":"LT"},` +
		`"peps":{"result":"unknown","records":[]},"sanctions":{"result":"unknown","records":[]},` +
		`"certificate":null,"error":null}}`
	body, err := NewTestEvent(time.Date(2026, 11, 21, 20, 51, 3, 0, time.UTC)).Marshal()
	if err != nil || string(body) != want {
		t.Fatalf("Marshal() = %s, %v\nwant %s", body, err, want)
	}
	if e, err := Parse(body); err != nil || e.Type != Test || e.Data.Person.Code != "00000000000" {
		t.Errorf("Parse = %v, %v", e.Type, err)
	}
}
