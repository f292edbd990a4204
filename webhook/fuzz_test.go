package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzVerify: what is accepted is exactly what was signed.
func FuzzVerify(f *testing.F) {
	secret, key := NewSecret(), NewSigningKey()
	signer := mustSigner(f, &key, secret)
	v := Verifier{Secrets: []Secret{secret}, PublicKeys: []PublicKey{key.Public()}}
	h := http.Header{}
	signer.Sign(h, "msg_1", time.Now(), []byte(knownBody))
	good := h.Get(HeaderSignature)
	f.Add("msg_1", h.Get(HeaderTimestamp), good, knownBody)
	f.Add("msg_2", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", knownBody)
	f.Add("", "-1", "v1 v1a,, ,", "")
	f.Add("msg_1", "0", strings.Repeat(" v1a,AAAA", 400), "x")
	f.Add("\x00", "99999999999", good[:len(good)-1], knownBody)
	f.Fuzz(func(t *testing.T, id, stamp, signature, body string) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		err := v.Verify(h, []byte(body))
		if err == nil && (id != "msg_1" || body != knownBody) {
			t.Fatalf("accepted id %q, body %q", id, body)
		}
		known := errors.Is(err, ErrNoSignature) || errors.Is(err, ErrInvalidHeaders) ||
			errors.Is(err, ErrTimestamp) || errors.Is(err, ErrSignature)
		if err != nil && !known {
			t.Fatalf("undocumented error %v", err)
		}
		// Whatever can be an id and a body, and is signed, is accepted.
		signer.Sign(h, id, time.Now(), []byte(body))
		if err := v.Verify(h, []byte(body)); validID(id) != (err == nil) {
			t.Fatalf("id %q: error %v", id, err)
		}
	})
}

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
	s := newTestSender(f, onlyPublic)
	for _, seed := range []string{
		"https://example.com/hook?a=b", "http://example.com", "https://user@example.com:22/#x", "https://[::ffff:127.0.0.1]:443",
		"https://169.254.169.254", "https://example.com:/", "https:/example.com", "//example.com", "https://[fe80::1%25x]/",
		"https://example.com\\@evil.example/", "https://0x7f.1/", "https://127.1/", "\x7f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		err := s.CheckURL(raw)
		if err != nil {
			if len(raw) > 20 && strings.Contains(err.Error(), raw) {
				t.Fatalf("%v quotes the URL", err)
			}
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(raw) > maxURL {
			t.Fatalf("%q is allowed: %v", raw, err)
		}
		if _, err := http.NewRequest(http.MethodPost, raw, http.NoBody); err != nil {
			t.Fatalf("%q is allowed, and no request can be made: %v", raw, err)
		}
	})
}

// FuzzRetryAfter: the pause is never negative and never longer than a day.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "1.5", "99999999999999999999", "Sat, 21 Nov 2026 20:51:33 GMT", "Sat, 31 Feb 9999 99:99:99 GMT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, timeOfTests); got < 0 || got > 24*time.Hour {
			t.Fatalf("%q: %s", value, got)
		}
	})
}
