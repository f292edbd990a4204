package marksign

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/identwatch/identwatch/webhook"
)

// FuzzParseStatus: whatever MarkSign answers, only what says of whom and for
// which session it speaks identifies anybody, and only a fixed vocabulary shows.
func FuzzParseStatus(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"status":"waiting"}`, `{"status":7}`, documentedOK, errorBody(40020), errorBody(-1),
		okBody(`"peps_data":{},"x":[[[[]]]]`), okBody(`"code":7,"name":{}`), "{\"status\":\"error\",\"message\":\"\xff\"}",
		okBody(`"peps_data":[{"id":1}],"peps_data":[]`), okBody(`"sanctions_data":[],"sanctions_data":{"id":1}`),
		okBody(`"PEPS_DATA":[{}],"peps_data":[ ],"x":1e999,"y":12345678901234567890`), okBody(`"peps\u005fdata":[1],"peps_data":[]`),
		okBody(`"code":"1","code":"2"`), okBody(`"token":"other"`), `{"status":"ok","token":`,
		`{"status":"ok","status":"error","error_code":"40020"}`, `{"status":"ok"`, `<html>`, strings.Repeat("[", 20_000),
		`{"status":"error","error_code":99999999999999999999}`, `{"status":"error","error_code":"4e4","message":["MARKED"]}`,
	} {
		f.Add(200, []byte(body))
		f.Add(403, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := reply{status: status, body: body}
		got := statusAnswer(r, testToken)
		checkAnswer(t, got, body)
		removed := removeAnswer(r)
		if !knownDetail(removed.Detail) {
			t.Errorf("the removal's detail is %q", removed.Detail)
		}
		if said := lastStatus(body); (removed.Verdict == Removed) != (said == "ok") || removed.Verdict == RemoveRefused && said != "error" {
			t.Errorf("removal %v by %q", removed.Verdict, body)
		}
	})
}

// FuzzExchange: the same through the whole client, for any headers, for any
// coding of the body, and wherever the answer is cut.
func FuzzExchange(f *testing.F) {
	f.Add(200, "application/json", "", "", []byte(documentedOK), 10_000)
	f.Add(200, "text/html", "gzip", "120", []byte(documentedOK), 10_000)
	f.Add(200, "application/json", "gzip", "", gzipOf([]byte(documentedOK)), 10_000)
	f.Add(200, "application/json", "x-gzip", "", gzipOf([]byte("\xef\xbb\xbf"+documentedOK)), 10_000)
	f.Add(200, "application/json", "", "", []byte("\xef\xbb\xbf"+documentedOK), 10_000)
	f.Add(429, "", "identity", "Sat, 21 Nov 2026 12:00:30 GMT", []byte(``), 0)
	f.Add(200, "application/json", "", "-1", []byte(documentedOK), 300)
	f.Add(301, "\x00", "br", "1e9", []byte(errorBody(40020)), 5)
	f.Fuzz(func(t *testing.T, status int, contentType, encoding, pause string, sent []byte, length int) {
		cut := length >= 0 && length < len(sent)
		rt := func(req *http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {contentType}, "Content-Encoding": {encoding}, "Retry-After": {pause}}
			var content io.Reader = bytes.NewReader(sent)
			if cut {
				content = io.MultiReader(bytes.NewReader(sent[:length]), broken{})
			}
			return &http.Response{StatusCode: status, Header: header, Request: req, Body: io.NopCloser(content)}, nil
		}
		body, readable := arrived(sent, encoding)
		readable = readable && !cut
		got := statusOf(t, rt)
		if kept := got.Salvage; !readable && kept != nil && !bytes.Contains(kept.Body, []byte("ok")) {
			t.Errorf("%v keeps %q", got, kept.Body)
		} else if !readable {
			got.Salvage = nil // it is not the whole body
		}
		checkAnswer(t, got, body)
		if !readable && (got.Verdict != Temporary && got.Detail != faultOversized || got.Code != 0 || got.Message != "") {
			t.Errorf("%v by an answer that cannot be read", got)
		}
		removed := removeOf(t, rt)
		if !readable && removed.Verdict != RemoveTemporary || !knownDetail(removed.Detail) {
			t.Errorf("removal %v, %q", removed.Verdict, removed.Detail)
		}
		if got.RetryAfter < 0 || got.RetryAfter > maxPollRetryAfter || removed.RetryAfter < 0 || removed.RetryAfter > maxRetryAfter {
			t.Errorf("a pause of %v for a poll, %v for a removal", got.RetryAfter, removed.RetryAfter)
		}
	})
}

func gzipOf(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

// arrived is what a body says, if it can be read.
func arrived(sent []byte, encoding string) (body []byte, readable bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		body = sent
	case "gzip", "x-gzip":
		if len(sent) == 0 {
			break
		}
		z, err := gzip.NewReader(bytes.NewReader(sent))
		if err != nil {
			return nil, false
		}
		if body, err = io.ReadAll(io.LimitReader(z, maxBody+1)); err != nil {
			return nil, false
		}
	default:
		return nil, false
	}
	return bytes.TrimPrefix(body, byteOrderMark), len(sent) <= maxBody && len(body) <= maxBody
}

// broken is the rest of an answer that never comes.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func checkAnswer(t *testing.T, got Answer, body []byte) {
	t.Helper()
	if !utf8.ValidString(got.Message) || len(got.Message) > maxMessage {
		t.Errorf("message %q", got.Message)
	}
	if (got.Verdict == Identified) != (got.Identity != nil) {
		t.Fatalf("%v with identity %t", got, got.Identity != nil)
	}
	if !knownDetail(got.Detail) || !knownReason(got.Reason) {
		t.Errorf("reason %q, detail %q", got.Reason, got.Detail)
	}
	if salvaged := got.Salvage; salvaged != nil && (got.Verdict != Unusable || !bytes.Equal(salvaged.Body, body)) {
		t.Errorf("%v keeps %q of %q", got, salvaged.Body, body)
	}
	final := []Verdict{Identified, Refused, Expired, Failed, NotFound, CertificateTimeout}
	if slices.Contains(final, got.Verdict) && lastStatus(body) == "" {
		t.Errorf("%v by what says no status: %q", got, body)
	}
	if id := got.Identity; id != nil {
		checkIdentity(t, id, body)
	}
}

var otherDetails = regexp.MustCompile(`^(HTTP -?\d+( without a JSON answer| without a status| redirect, not followed)|` +
	`ok (without a token|for another token|without a code|that is not UTF-8|that contradicts itself|in broken JSON)|unknown status|canceled|` +
	`unknown error code( with HTTP -?\d+)?|error without a usable code|removal refused|answer cut short|answer over 8 MiB|` +
	`answer in an encoding that was not offered|gzip that cannot be read|)$`)

// knownDetail is all that a log may hold of an answer.
func knownDetail(detail string) bool {
	documented := func(m meaning) bool { return m.detail == detail }
	return otherDetails.MatchString(detail) || slices.ContainsFunc(slices.Collect(maps.Values(meanings)), documented)
}

func knownReason(reason string) bool {
	documented := func(m meaning) bool { return m.reason == reason }
	return slices.Contains([]string{"", "canceled", "unknown_error", reasonUnavailable, reasonUnusable, "access_rejected"}, reason) ||
		slices.ContainsFunc(slices.Collect(maps.Values(meanings)), documented)
}

// lastStatus is the status as another reader of JSON than ours finds it.
func lastStatus(body []byte) string {
	status := ""
	for _, value := range every(body, "status") {
		if err := json.Unmarshal(value, &status); err != nil {
			status = ""
		}
	}
	return status
}

// every returns all values that an object has under a name, in order; none where
// the body is no object.
func every(body []byte, name string) (values []json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') || !json.Valid(body) {
		return nil
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil
		}
		if key == name {
			values = append(values, value)
		}
	}
	return values
}

func checkIdentity(t *testing.T, id *Identity, body []byte) {
	t.Helper()
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatalf("identified by what is no object: %v", err)
	}
	var token string
	if err := json.Unmarshal(sent["token"], &token); err != nil || token != testToken || lastStatus(body) != "ok" || strings.TrimSpace(id.Code) == "" {
		t.Errorf("identified by %q", body)
	}
	for _, name := range []string{"status", "token", "code", "name", "surname"} {
		for _, value := range every(body, name) {
			if !bytes.Equal(value, sent[name]) {
				t.Errorf("identified although %s is %s and %s", name, value, sent[name])
			}
		}
	}
	checkClearance(t, "peps_data", id.PEPs, body)
	checkClearance(t, "sanctions_data", id.Sanctions, body)
	for _, raw := range []json.RawMessage{id.PEPs, id.Sanctions, id.Certificate, id.Upstream} {
		if raw != nil && !json.Valid(raw) {
			t.Errorf("%q is no JSON", raw)
		}
	}
	checkNothingDropped(t, id, sent)
}

// checkClearance: a check is clear only where every word on it says so.
func checkClearance(t *testing.T, name string, read json.RawMessage, body []byte) {
	t.Helper()
	if webhook.NewCheck(read, true).Result != webhook.Clear {
		return
	}
	said := every(body, name)
	for _, value := range said {
		if bare := string(bytes.Join(bytes.Fields(value), nil)); bare != "[]" && bare != "{}" {
			t.Errorf("clear by %s, which is %s too", said, bare)
		}
	}
	if len(said) == 0 {
		t.Error("clear by nothing")
	}
}

// checkNothingDropped: what the identity does not name is in Upstream, as it came.
func checkNothingDropped(t *testing.T, id *Identity, sent map[string]json.RawMessage) {
	t.Helper()
	var rest map[string]json.RawMessage
	if id.Upstream != nil {
		if err := json.Unmarshal(id.Upstream, &rest); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range sent {
		var said string
		isText := errors.Join(json.Unmarshal(value, &said)) == nil
		texts := map[string]string{"name": id.Name, "surname": id.Surname, "code": id.Code, "country": id.Country}
		switch text, named := texts[name]; {
		case named && isText && text != said:
			t.Errorf("%s is %q, sent %s", name, text, value)
		case named || slices.Contains([]string{"token", "peps_data", "sanctions_data", "certificate"}, name):
		case !bytes.Equal(rest[name], value):
			t.Errorf("%q is %q, sent %q", name, rest[name], value)
		}
	}
}
