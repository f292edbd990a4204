package webhook

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// signed returns the headers of a body signed now.
func signed(signer *Signer, body string) http.Header {
	h := http.Header{}
	signer.Sign(h, "msg_1", time.Now(), []byte(body))
	return h
}

func TestVerify_RefusesEveryChange(t *testing.T) {
	t.Parallel()
	secret, key := NewSecret(), NewSigningKey()
	onlyHMAC, onlyEd25519 := mustSigner(t, nil, secret), mustSigner(t, &key)
	v := Verifier{Secrets: []Secret{secret}, PublicKeys: []PublicKey{key.Public()}}
	const body = `{"a":1}`
	value := func(h http.Header) string { return h.Get(HeaderSignature) }
	tests := []struct {
		name   string
		change func(http.Header)
		body   string
		want   error
	}{
		{"nothing", func(http.Header) {}, body, nil},
		{"id", func(h http.Header) { h.Set(HeaderID, "msg_2") }, body, ErrSignature},
		{"timestamp", func(h http.Header) { h.Set(HeaderTimestamp, timestamp(time.Now().Add(2*time.Second))) }, body, ErrSignature},
		{"body", func(http.Header) {}, `{"a":2}`, ErrSignature},
		{"body cut", func(http.Header) {}, `{"a":1`, ErrSignature},
		{"body longer", func(http.Header) {}, body + "\n", ErrSignature},
		{"signature", func(h http.Header) { h.Set(HeaderSignature, strings.Replace(value(h), ",", ",A", 1)) }, body, ErrSignature},
		{"base64 cut", func(h http.Header) { h.Set(HeaderSignature, value(h)[:len(value(h))-4]) }, body, ErrSignature},
		{"padding cut", func(h http.Header) { h.Set(HeaderSignature, strings.TrimRight(value(h), "=")) }, body, ErrSignature},
		{"signature empty", func(h http.Header) { h.Set(HeaderSignature, "v1,") }, body, ErrSignature},
		{"no comma", func(h http.Header) { h.Set(HeaderSignature, strings.Replace(value(h), ",", "", 1)) }, body, ErrSignature},
		{"unknown version", func(h http.Header) { h.Set(HeaderSignature, strings.Replace(value(h), "v1", "v2", 1)) }, body, ErrSignature},
		{"garbage", func(h http.Header) { h.Set(HeaderSignature, ", ,, v1 v1a,!!! \x00 v9,=") }, body, ErrSignature},
		{"among others", func(h http.Header) { h.Set(HeaderSignature, "v9,x v1,AAAA v1a,AAAA  "+value(h)+" v1,") }, body, nil},
	}
	for _, tt := range tests {
		for name, signer := range map[string]*Signer{"v1": onlyHMAC, "v1a": onlyEd25519} {
			h := signed(signer, body)
			tt.change(h)
			if err := v.Verify(h, []byte(tt.body)); !errors.Is(err, tt.want) {
				t.Errorf("%s, %s changed: error %v, want %v", name, tt.name, err, tt.want)
			}
		}
	}
}

func TestVerify_RefusesASignatureUnderTheOtherVersion(t *testing.T) {
	t.Parallel()
	secret, key := NewSecret(), NewSigningKey()
	v := Verifier{Secrets: []Secret{secret}, PublicKeys: []PublicKey{key.Public()}}
	for _, signer := range []*Signer{mustSigner(t, nil, secret), mustSigner(t, &key)} {
		h := signed(signer, "{}")
		version, value, _ := strings.Cut(h.Get(HeaderSignature), ",")
		other := map[string]string{"v1": "v1a", "v1a": "v1"}[version]
		h.Set(HeaderSignature, other+","+value)
		if err := v.Verify(h, []byte("{}")); !errors.Is(err, ErrSignature) {
			t.Errorf("a %s signature called %s: error %v", version, other, err)
		}
	}
}

func TestVerify_RefusesMalformedHeaders(t *testing.T) {
	t.Parallel()
	signer := mustSigner(t, nil, mustSecret(t, knownSecret))
	v := Verifier{Secrets: []Secret{mustSecret(t, knownSecret)}}
	stamp := timestamp(time.Now())
	tests := []struct {
		header string
		values []string
		want   error
	}{
		{HeaderID, nil, ErrNoSignature},
		{HeaderTimestamp, nil, ErrNoSignature},
		{HeaderSignature, nil, ErrNoSignature},
		{HeaderID, []string{""}, ErrNoSignature},
		{HeaderID, []string{"msg_1", "msg_1"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{stamp, stamp}, ErrInvalidHeaders},
		{HeaderSignature, []string{"v1,a", "v1,b"}, ErrInvalidHeaders},
		{HeaderID, []string{strings.Repeat("x", 257)}, ErrInvalidHeaders},
		{HeaderID, []string{"msg 1"}, ErrInvalidHeaders},
		{HeaderID, []string{"msg_ą"}, ErrInvalidHeaders},
		{HeaderID, []string{"msg\n1"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"now"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"+" + stamp}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"0" + stamp}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{stamp + ".0"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{" " + stamp}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"-1"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"9223372036854775807"}, ErrInvalidHeaders},
		{HeaderTimestamp, []string{"99999999999"}, ErrTimestamp},
		{HeaderTimestamp, []string{"0"}, ErrTimestamp},
		{HeaderSignature, []string{strings.Repeat("v1,AAAA ", 300)}, ErrInvalidHeaders},
	}
	for _, tt := range tests {
		h := signed(signer, "{}")
		h[http.CanonicalHeaderKey(tt.header)] = tt.values
		if err := v.Verify(h, []byte("{}")); !errors.Is(err, tt.want) {
			t.Errorf("%s %.40q: error %v, want %v", tt.header, tt.values, err, tt.want)
		}
	}
}

func TestVerify_AcceptsTheFullestHeaderThatASignerWrites(t *testing.T) {
	t.Parallel()
	secrets := make([]Secret, maxSecrets)
	for i := range secrets {
		secrets[i] = NewSecret()
	}
	key := NewSigningKey()
	h := signed(mustSigner(t, &key, secrets...), "{}")
	for _, v := range []Verifier{{Secrets: secrets[15:]}, {PublicKeys: []PublicKey{key.Public()}}} {
		if err := v.Verify(h, []byte("{}")); err != nil {
			t.Error(err)
		}
	}
}

func TestVerify_KeysRotateWithoutAGap(t *testing.T) {
	t.Parallel()
	oldSecret, newSecret, oldKey, newKey := NewSecret(), NewSecret(), NewSigningKey(), NewSigningKey()
	verifiers := map[string]Verifier{
		"old":  {Secrets: []Secret{oldSecret}},
		"both": {Secrets: []Secret{newSecret, oldSecret}, PublicKeys: []PublicKey{oldKey.Public(), newKey.Public()}},
		"new":  {PublicKeys: []PublicKey{newKey.Public()}, Secrets: []Secret{newSecret}},
	}
	for _, tt := range []struct {
		name   string
		signer *Signer
		by     map[string]bool
	}{
		{"old secret", mustSigner(t, nil, oldSecret), map[string]bool{"old": true, "both": true}},
		{"both secrets", mustSigner(t, nil, newSecret, oldSecret), map[string]bool{"old": true, "both": true, "new": true}},
		{"new secret", mustSigner(t, nil, newSecret), map[string]bool{"both": true, "new": true}},
		{"old key", mustSigner(t, &oldKey), map[string]bool{"both": true}},
		{"new key", mustSigner(t, &newKey), map[string]bool{"both": true, "new": true}},
		{"new key and old secret", mustSigner(t, &newKey, oldSecret), map[string]bool{"old": true, "both": true, "new": true}},
	} {
		h := signed(tt.signer, "{}")
		for name, v := range verifiers {
			if err := v.Verify(h, []byte("{}")); (err == nil) != tt.by[name] {
				t.Errorf("signed with %s, verified with %s: %v", tt.name, name, err)
			}
		}
	}
}

func TestVerify_ZeroKeysVerifyNothing(t *testing.T) {
	t.Parallel()
	h := signed(mustSigner(t, nil, Secret{key: func() []byte { return nil }}), "{}") // as someone would forge it for the zero Secret
	for name, tt := range map[string]struct {
		v    Verifier
		want error
	}{
		"none":      {Verifier{}, ErrNoKeys},
		"only zero": {Verifier{Secrets: []Secret{{}}, PublicKeys: []PublicKey{{}}}, ErrNoKeys},
		"zero too":  {Verifier{Secrets: []Secret{{}, NewSecret()}, PublicKeys: []PublicKey{{}}}, ErrSignature},
	} {
		if err := tt.v.Verify(h, []byte("{}")); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
	// With an all-zero public key, which has order 4, signatures of this form are good for about every fourth message.
	forged := base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 63)...))
	for i := range 64 {
		h.Set(HeaderID, strconv.Itoa(i))
		h.Set(HeaderSignature, "v1a,"+forged)
		if err := (Verifier{Secrets: []Secret{NewSecret()}, PublicKeys: []PublicKey{{}}}).Verify(h, []byte("{}")); err == nil {
			t.Fatal("a forged signature by the zero PublicKey is accepted")
		}
	}
}

func TestVerify_ToleranceIsInclusiveBothWays(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	signer := mustSigner(t, nil, secret)
	for _, tt := range []struct {
		tolerance, age time.Duration
		ok             bool
	}{
		{0, 0, true},
		{0, 5 * time.Minute, true},
		{0, 5*time.Minute + time.Second, false},
		{0, -5 * time.Minute, true},
		{0, -5*time.Minute - time.Second, false},
		{time.Second, time.Second, true},
		{time.Second, time.Second + 1, false},
		{time.Hour, 59 * time.Minute, true},
		{-1, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := http.Header{}
			signer.Sign(h, "msg_1", time.Now(), nil)
			if tt.age < 0 {
				signer.Sign(h, "msg_1", time.Now().Add(-tt.age), nil)
			} else {
				<-time.After(tt.age)
			}
			err := Verifier{Secrets: []Secret{secret}, Tolerance: tt.tolerance}.Verify(h, nil)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrTimestamp) {
				t.Errorf("tolerance %s, age %s: %v", tt.tolerance, tt.age, err)
			}
		})
	}
}

func TestRequest_ReturnsIDAndEvent(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	signer, v := mustSigner(t, nil, secret), Verifier{Secrets: []Secret{secret}}
	good, err := completedEvent().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const most = 9 << 20 // not MaxBody, which must not become less unseen
	long := append([]byte{'"'}, bytes.Repeat([]byte("x"), most)...)
	for name, tt := range map[string]struct {
		sign, post string
		body       io.Reader // instead of post
		id         string
		want       error
	}{
		"good":          {sign: string(good), post: string(good), id: "msg_1"},
		"changed":       {sign: string(good), post: string(good) + " ", want: ErrSignature},
		"not an event":  {sign: "[]", post: "[]", id: "msg_1", want: ErrEvent},
		"9 MiB":         {sign: string(long[:most]), post: string(long[:most]), id: "msg_1", want: ErrEvent},
		"over 9 MiB":    {sign: string(long), post: string(long), want: ErrBody},
		"broken upload": {sign: "{}", body: iotest.ErrReader(errors.New("read tcp 203.0.113.7: reset")), want: ErrBody},
	} {
		body := tt.body
		if body == nil {
			body = strings.NewReader(tt.post)
		}
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.Header = signed(signer, tt.sign)
		id, event, err := v.Request(r)
		if id != tt.id || !errors.Is(err, tt.want) {
			t.Errorf("%s: id %q, error %v; want %q, %v", name, id, err, tt.id, tt.want)
		}
		if tt.want == nil && event.Data.Person.Code != "30303039914" {
			t.Errorf("%s: the event is not the one sent", name)
		}
		if err != nil && strings.Contains(err.Error(), "203.0.113.7") {
			t.Errorf("%s: the error quotes the connection's", name)
		}
	}
}

func TestRequest_ReadsNoBodyWithoutGoodHeaders(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("read")))
	if _, _, err := (Verifier{Secrets: []Secret{NewSecret()}}).Request(r); !errors.Is(err, ErrNoSignature) {
		t.Errorf("error %v, want ErrNoSignature before the body is read", err)
	}
}
