package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
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
	good, signedAt := h.Get(HeaderSignature), h.Get(HeaderTimestamp)
	f.Add("msg_1", signedAt, good, knownBody)
	f.Add("msg_2", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", knownBody)
	f.Add("", "-1", "v1 v1a,, ,", "")
	f.Add("msg_1", "0", strings.Repeat(" v1a,AAAA", 400), "x")
	f.Add("\x00", "99999999999", good[:len(good)-1], knownBody)
	f.Fuzz(func(t *testing.T, id, stamp, signature, body string) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
		err := v.Verify(h, []byte(body))
		if err == nil && (id != "msg_1" || body != knownBody || stamp != signedAt) {
			t.Fatalf("accepted id %q at %q, body %q", id, stamp, body)
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

// FuzzSignature: what was signed verifies, and with one byte of it changed it does not, for either kind of key.
func FuzzSignature(f *testing.F) {
	secret, key := NewSecret(), NewSigningKey()
	ends := []struct {
		signer   *Signer
		verifier Verifier
	}{
		{mustSigner(f, nil, secret), Verifier{Secrets: []Secret{NewSecret(), secret}}},
		{mustSigner(f, &key), Verifier{PublicKeys: []PublicKey{key.Public(), NewSigningKey().Public()}}},
	}
	f.Add("evt_1", []byte(knownBody), uint(7), byte(1))
	f.Add("e.1", []byte{}, uint(0), byte(0x80))
	f.Add("e", []byte("."), uint(1000), byte(2))
	f.Fuzz(func(t *testing.T, id string, body []byte, place uint, change byte) {
		if !validID(id) || change == 0 {
			t.Skip("not signed, or not changed")
		}
		for _, end := range ends {
			h := http.Header{}
			end.signer.Sign(h, id, time.Now(), body)
			if err := end.verifier.Verify(h, body); err != nil {
				t.Fatalf("what was signed: %v", err)
			}
			for _, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
				changed := h.Clone()
				changed.Set(name, flip(h.Get(name), place, change))
				if sameSignature(changed.Get(name), h.Get(name)) {
					continue
				}
				if end.verifier.Verify(changed, body) == nil {
					t.Fatalf("accepted with %s %q for %q", name, changed.Get(name), h.Get(name))
				}
			}
			if len(body) > 0 && end.verifier.Verify(h, []byte(flip(string(body), place, change))) == nil {
				t.Fatalf("accepted with byte %d of the body changed", place%uint(len(body)))
			}
			if end.verifier.Verify(h, append([]byte{change}, body...)) == nil {
				t.Fatal("accepted with a longer body")
			}
		}
	})
}

// flip changes one byte.
func flip(s string, place uint, change byte) string {
	b := []byte(s)
	b[place%uint(len(b))] ^= change
	return string(b)
}

// sameSignature reports whether two v1a signatures are one: the last character of base64 has bits that mean nothing.
func sameSignature(a, b string) bool {
	a, ok1 := strings.CutPrefix(a, versionEd25519+",")
	b, ok2 := strings.CutPrefix(b, versionEd25519+",")
	rawA, err1 := base64.StdEncoding.DecodeString(a)
	rawB, err2 := base64.StdEncoding.DecodeString(b)
	return ok1 && ok2 && err1 == nil && err2 == nil && string(rawA) == string(rawB)
}

// FuzzKeys: a key that is read is written the same, prints as nothing, and an error quotes nothing.
func FuzzKeys(f *testing.F) {
	f.Add(NewSecret().Encode())
	f.Add(NewSigningKey().Encode())
	f.Add(NewSigningKey().Public().String())
	f.Add("whsec_" + strings.Repeat("AAAA", 9))
	f.Add("whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("whsec_whsec_")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseSecret(text)
		quotesNothing(t, text, err)
		if err == nil {
			again, err := ParseSecret(secret.Encode())
			if err != nil || again.Encode() != secret.Encode() || fmt.Sprintf("%+v %#v %x", secret, secret, secret) != "[redacted] [redacted] [redacted]" {
				t.Fatalf("%q: read again: %v", text, err)
			}
		}
		private, err := ParseSigningKey(text)
		quotesNothing(t, text, err)
		if err == nil {
			again, err := ParseSigningKey(private.Encode())
			if err != nil || again.Public() != private.Public() || fmt.Sprint(private) != "[redacted]" {
				t.Fatalf("%q: read again: %v", text, err)
			}
		}
		public, err := ParsePublicKey(text)
		quotesNothing(t, text, err)
		if err == nil {
			if again, err := ParsePublicKey(public.String()); err != nil || again != public || again.isZero() {
				t.Fatalf("%q: read again: %v", text, err)
			}
		}
	})
}

func quotesNothing(t *testing.T, text string, err error) {
	t.Helper()
	if err != nil && len(text) > 10 && strings.Contains(err.Error(), text) {
		t.Fatalf("%v quotes the key", err)
	}
}
