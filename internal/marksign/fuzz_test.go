package marksign

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseStatus(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"status":"waiting"}`, `{"status":7}`, documentedOK, errorBody(40020), errorBody(-1),
		okBody(`"peps_data":{},"x":[[[[]]]]`), okBody(`"code":7,"name":{}`), "{\"status\":\"error\",\"message\":\"\xff\"}",
		`{"status":"ok","status":"error","error_code":"40020"}`, `{"status":"ok"`, `<html>`, strings.Repeat("[", 20_000),
	} {
		f.Add(200, []byte(body))
		f.Add(403, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := reply{status: status, body: body}
		got := statusAnswer(r, testToken)
		if !utf8.ValidString(got.Message) || len(got.Message) > maxMessage {
			t.Errorf("message %q", got.Message)
		}
		if (got.Verdict == Identified) != (got.Identity != nil) {
			t.Fatalf("%v with identity %t", got, got.Identity != nil)
		}
		if strings.Contains(string(body), "<") && strings.Contains(got.String(), "<") {
			t.Errorf("the body shows in %v", got)
		}
		if id := got.Identity; id != nil {
			checkIdentity(t, id, body)
		}
		if removed := removeAnswer(r); removed.Verdict == Removed && !json.Valid(body) {
			t.Errorf("removed by %q", body)
		}
	})
}

func checkIdentity(t *testing.T, id *Identity, body []byte) {
	t.Helper()
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatalf("identified by what is no object: %v", err)
	}
	if id.Code == "" || string(sent["token"]) == "" || string(sent["status"]) == "" {
		t.Errorf("identified by %q", body)
	}
	for _, raw := range []json.RawMessage{id.PEPs, id.Sanctions, id.Certificate, id.Upstream} {
		if raw != nil && !json.Valid(raw) {
			t.Errorf("%q is no JSON", raw)
		}
	}
}
