package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

var timeOfTests = time.Date(2026, 11, 21, 20, 51, 3, 987_000_000, time.UTC)

// The example that the official libraries test with.
const (
	knownSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	knownID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	knownTime      = 1614265330
	knownBody      = `{"test": 2432232314}`
	knownSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func mustSecret(tb testing.TB, s string) Secret {
	tb.Helper()
	secret, err := ParseSecret(s)
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

func mustSigner(tb testing.TB, key *SigningKey, secrets ...Secret) *Signer {
	tb.Helper()
	signer, err := NewSigner(secrets, key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func TestSign_AgreesWithTheKnownExample(t *testing.T) {
	t.Parallel()
	got := Sign(mustSecret(t, knownSecret), knownID, time.Unix(knownTime, 999), []byte(knownBody))
	if got != knownSignature {
		t.Errorf("Sign = %s, want %s", got, knownSignature)
	}
}

func TestSigner_SetsTheThreeHeaders(t *testing.T) {
	t.Parallel()
	first, second, key := NewSecret(), NewSecret(), NewSigningKey()
	body := []byte(`{"a":1}`)
	h := http.Header{"Webhook-Signature": {"v1,old"}}
	mustSigner(t, &key, first, second).Sign(h, "msg_1", timeOfTests, body)
	if h.Get("webhook-id") != "msg_1" || h.Get("webhook-timestamp") != "1795294263" {
		t.Errorf("headers %v", h)
	}
	signatures := strings.Split(h.Get("webhook-signature"), " ")
	if len(signatures) != 3 {
		t.Fatalf("%d signatures, want 3", len(signatures))
	}
	for i, secret := range []Secret{first, second} {
		if want := Sign(secret, "msg_1", timeOfTests, body); signatures[i] != want {
			t.Errorf("signature %d is %s, want %s", i, signatures[i], want)
		}
	}
	value, isV1a := strings.CutPrefix(signatures[2], "v1a,")
	signature, err := base64.StdEncoding.DecodeString(value)
	public := key.key().Public().(ed25519.PublicKey)
	if !isV1a || err != nil || !ed25519.Verify(public, []byte(`msg_1.1795294263.{"a":1}`), signature) {
		t.Errorf("%s is not the v1a signature", signatures[2])
	}
}

func TestSigner_KeepsItsOwnListOfSecrets(t *testing.T) {
	t.Parallel()
	secrets := []Secret{NewSecret()}
	signer, err := NewSigner(secrets, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Sign(secrets[0], "id", timeOfTests, nil)
	secrets[0] = Secret{}
	h := http.Header{}
	signer.Sign(h, "id", timeOfTests, nil)
	if got := h.Get(HeaderSignature); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestOfficialLibrary_VerifiesWhatWeSign(t *testing.T) {
	t.Parallel()
	secrets := []Secret{NewSecret(), NewSecret()}
	key := NewSigningKey()
	signer := mustSigner(t, &key, secrets...)
	for _, body := range []string{"", "{}", knownBody, "\x00\xff\n", strings.Repeat("x", 100_000)} {
		h := http.Header{}
		signer.Sign(h, "msg_1", time.Now(), []byte(body))
		for _, secret := range secrets {
			theirs, err := standardwebhooks.NewWebhook(secret.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if err := theirs.Verify([]byte(body), h); err != nil {
				t.Errorf("body of %d bytes: %v", len(body), err)
			}
			if err := theirs.Verify([]byte(body+"x"), h); err == nil {
				t.Errorf("body of %d bytes: a changed body is accepted", len(body))
			}
		}
	}
}

func TestVerifier_VerifiesWhatTheOfficialLibrarySigns(t *testing.T) {
	t.Parallel()
	secret := NewSecret()
	theirs, err := standardwebhooks.NewWebhook(secret.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "{}", knownBody, "\x00\xff\n"} {
		at := time.Now()
		signature, err := theirs.Sign("msg_1", at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if ours := Sign(secret, "msg_1", at, []byte(body)); ours != signature {
			t.Errorf("they sign %s, we sign %s", signature, ours)
		}
		h := http.Header{}
		h.Set(HeaderID, "msg_1")
		h.Set(HeaderTimestamp, timestamp(at))
		h.Set(HeaderSignature, signature)
		v := Verifier{Secrets: []Secret{secret}}
		if err := v.Verify(h, []byte(body)); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		if err := v.Verify(h, []byte(body+"x")); err == nil {
			t.Errorf("body %q: a changed body is accepted", body)
		}
	}
}
