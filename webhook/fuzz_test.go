package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse: what is read can be written and read again, and holds what receivers rely on.
func FuzzParse(f *testing.F) {
	whole, err := completedEvent().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"type":"x","timestamp":"2026-11-21T20:51:03Z","data":{"token":"t","upstream":null,"peps":{}}}`))
	f.Add([]byte(`{"type":"x","timestamp":"0000-01-01T00:00:00+14:00","data":{"token":"<&>","certificate": [ 1.0 ]}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Parse(body)
		if err != nil {
			if !errors.Is(err, ErrEvent) || len(err.Error()) > 100 {
				t.Fatalf("error %v", err)
			}
			return
		}
		if e.Type == Completed && (e.Data.Person == nil || e.Data.PEPs == nil || e.Data.Sanctions == nil) {
			t.Fatal("completed without a person or a check")
		}
		once, err := e.Marshal()
		if err != nil {
			if year := e.Timestamp.UTC().Year(); year < 0 || year > 9999 {
				return // a zone can move the first and the last day out of range
			}
			t.Fatalf("cannot be written: %v", err)
		}
		again, err := Parse(once)
		if err != nil {
			if e.Timestamp.Truncate(time.Millisecond).IsZero() {
				return
			}
			t.Fatalf("cannot be read again: %v", err)
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
	})
}

// FuzzEvent: what is posted says the same as what went in, whatever MarkSign and the application put there.
func FuzzEvent(f *testing.F) {
	f.Add("1c5cd62c", "order-1842", "NAME", "SURNAME", "30303039914", `{"a":1.0}`, `[{"id":1}]`, true)
	f.Add("t", "<&>\u2028\"", "Ž\x00", "\U0001f600", "0", `{"n":123456789012345678901234567890.10e+400,"d":"\ud800","d":2}`, `{"0":{}}`, false)
	f.Add("t", "", "", "", "1", `null`, `[]`, true)
	f.Add("t", "", "", "", "1", ` [ [ ] ] `, `null`, true)
	f.Fuzz(func(t *testing.T, token, reference, name, surname, code, upstream, records string, asked bool) {
		texts := []string{token, reference, name, surname, code}
		if token == "" || code == "" || !utf8.ValidString(strings.Join(texts, " ")) {
			t.Skip("no event that a worker makes")
		}
		peps := NewCheck([]byte(records), asked)
		sent := Event{Type: Completed, Timestamp: timeOfTests, Data: Data{
			Token: token, Reference: reference, Method: "smart_id", PEPs: &peps, Sanctions: &Check{},
			Person: &Person{Name: name, Surname: surname, Code: code, Country: "LT"}, Upstream: json.RawMessage(upstream),
		}}
		body, err := sent.Marshal()
		if err != nil {
			if json.Valid([]byte(upstream)) || !errors.Is(err, ErrEvent) {
				t.Fatalf("cannot be written: %v", err)
			}
			return
		}
		got, err := Parse(body)
		if err != nil {
			t.Fatalf("cannot be read: %v\n%s", err, body)
		}
		d := got.Data
		if *d.Person != *sent.Data.Person || d.Token != token || d.Reference != reference || !got.Timestamp.Equal(timeOfTests.Truncate(time.Millisecond)) {
			t.Fatalf("sent %q, got\n%s", texts, body)
		}
		if d.PEPs.Result != peps.Result || d.Sanctions.Result != Unknown || len(d.PEPs.Records) != len(peps.Records) {
			t.Fatalf("sent %s with %d records, got\n%s", peps.Result, len(peps.Records), body)
		}
		for i, record := range peps.Records {
			sameJSON(t, record, d.PEPs.Records[i])
		}
		sameJSON(t, presentJSON(bytes.TrimSpace([]byte(upstream))), d.Upstream)
	})
}

// sameJSON fails where two texts differ in more than white space between tokens.
func sameJSON(t *testing.T, sent, got []byte) {
	t.Helper()
	var want bytes.Buffer
	if len(sent) > 0 {
		if err := json.Compact(&want, sent); err != nil {
			t.Fatal(err)
		}
	}
	if want.String() != string(got) {
		t.Fatalf("sent %q, got %q", sent, got)
	}
}

// FuzzNewCheck: only an empty list or map that was asked for is a clearance, and what is found is JSON.
func FuzzNewCheck(f *testing.F) {
	for _, seed := range []string{
		`[]`, `{}`, ` [ ] `, `null`, ``, `""`, `0`, `[null]`, `[{}]`, `[{"id":1},2]`, `{"0":{}}`, `{"a":1}`, `[`, `[]]`, `{"0":{},"0":{}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, sent []byte, asked bool) {
		got := NewCheck(sent, asked)
		bare := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(string(sent))
		if want := (bare == "[]" || bare == "{}") && asked; want != (got.Result == Clear) {
			t.Fatalf("%q, asked %t: %s", sent, asked, got.Result)
		}
		if (got.Result == Hit) != (len(got.Records) > 0) || got.Records == nil {
			t.Fatalf("%q: %s with %d records", sent, got.Result, len(got.Records))
		}
		for _, record := range got.Records {
			if !json.Valid(record) || !bytes.Contains(sent, record) {
				t.Fatalf("%q: record %q is not as sent", sent, record)
			}
		}
	})
}

// FuzzCheckURL: what is allowed is what the request will be made for, and errors quote nothing.
func FuzzCheckURL(f *testing.F) {
	strict, open := newTestSender(f, onlyPublic), newTestSender(f)
	for _, seed := range []string{
		"https://example.com/hook?a=b", "http://example.com", "https://user@example.com:22/#x", "https://[::ffff:127.0.0.1]:443",
		"https://169.254.169.254", "https://example.com:/", "https:/example.com", "//example.com", "https://[fe80::1%25x]/",
		"https://example.com\\@evil.example/", "https://0x7f.1/", "https://127.1/", "\x7f", "https://example.com/#", "http://example.com:80",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		err, openErr := strict.CheckURL(raw), open.CheckURL(raw)
		if err != nil {
			if len(raw) > 20 && strings.Contains(err.Error(), raw) {
				t.Fatalf("%v quotes the URL", err)
			}
			return
		}
		if openErr != nil {
			t.Fatalf("%q is allowed, and not where more is: %v", raw, openErr)
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Contains(raw, "#") || len(raw) > maxURL {
			t.Fatalf("%q is allowed: %v", raw, err)
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.Atoi(port); err != nil || n != 443 && n < 1024 || n > 65535 {
				t.Fatalf("%q is allowed with port %s", raw, port)
			}
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && (!addr.Unmap().IsGlobalUnicast() || addr.Unmap().IsPrivate()) {
			t.Fatalf("%q is allowed with address %s", raw, addr)
		}
		if _, err := http.NewRequest(http.MethodPost, raw, http.NoBody); err != nil {
			t.Fatalf("%q is allowed, and no request can be made: %v", raw, err)
		}
	})
}
