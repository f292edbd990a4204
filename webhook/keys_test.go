package webhook

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

func encoded(n int, fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, n))
}

func TestParseSecret_Accepts24To64Bytes(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{0: false, 23: false, 24: true, 32: true, 64: true, 65: false} {
		for _, prefix := range []string{"", "whsec_"} {
			secret, err := ParseSecret(prefix + encoded(n, 7))
			if (err == nil) != ok {
				t.Errorf("%q and %d bytes: error %v", prefix, n, err)
			}
			if ok && secret.Encode() != "whsec_"+encoded(n, 7) {
				t.Errorf("%d bytes: Encode() does not return what was parsed", n)
			}
		}
	}
}

func TestParseKeys_RefuseWithoutQuoting(t *testing.T) {
	t.Parallel()
	mixed := NewSigningKey()
	halves := append(bytes.Clone(mixed.key()[:32]), make([]byte, 32)...)
	for name, parse := range map[string]func(string) error{
		"secret":      func(s string) error { _, err := ParseSecret(s); return err },
		"signing key": func(s string) error { _, err := ParseSigningKey(s); return err },
		"public key":  func(s string) error { _, err := ParsePublicKey(s); return err },
	} {
		for _, input := range []string{
			"", "CANARYCANARY!", "whsec_", "whsk_", "whpk_", "whother_" + encoded(32, 7), encoded(33, 7)[1:], encoded(12, 7),
			"CANARY" + encoded(100, 7), encoded(32, 7) + "CANARY",
		} {
			if err := parse(input); err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "Bwc") {
				t.Errorf("%s %q: error %v, want one that does not quote it", name, input, err)
			}
		}
	}
	if _, err := ParseSigningKey("whsk_" + base64.StdEncoding.EncodeToString(halves)); err == nil {
		t.Error("a signing key with another's public half is accepted")
	}
	if _, err := ParsePublicKey("whpk_" + encoded(32, 0)); err == nil {
		t.Error("the all-zero public key is accepted")
	}
}

func TestSigningKey_ReadsSeedAndWholeKey(t *testing.T) {
	t.Parallel()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	want := "whpk_" + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
	for _, raw := range [][]byte{private.Seed(), private} {
		for _, prefix := range []string{"", "whsk_"} {
			key, err := ParseSigningKey(prefix + base64.StdEncoding.EncodeToString(raw))
			if err != nil {
				t.Fatal(err)
			}
			if got := key.Public().String(); got != want {
				t.Errorf("Public() = %s, want %s", got, want)
			}
			if got := key.Encode(); got != "whsk_"+base64.StdEncoding.EncodeToString(private) {
				t.Error("Encode() is not the 64 bytes of the key")
			}
		}
	}
	public, err := ParsePublicKey(want)
	if err != nil || public.String() != want {
		t.Errorf("ParsePublicKey(%s) = %v, %v", want, public, err)
	}
}

func TestNewKeys_AreRandomAndReadable(t *testing.T) {
	t.Parallel()
	if a, b := NewSecret(), NewSecret(); a.Encode() == b.Encode() {
		t.Error("two new secrets are the same")
	}
	if a, b := NewSigningKey(), NewSigningKey(); a.Public() == b.Public() {
		t.Error("two new signing keys are the same")
	}
	secret := NewSecret()
	if again, err := ParseSecret(secret.Encode()); err != nil || again.Encode() != secret.Encode() {
		t.Errorf("a new secret is not read back: %v", err)
	}
	key := NewSigningKey()
	if again, err := ParseSigningKey(key.Encode()); err != nil || again.Public() != key.Public() {
		t.Errorf("a new signing key is not read back: %v", err)
	}
}

func TestZeroKeys_AreEmptyAndRefused(t *testing.T) {
	t.Parallel()
	if (Secret{}).Encode() != "" || (SigningKey{}).Encode() != "" || (SigningKey{}).Public() != (PublicKey{}) {
		t.Error("a zero key has a value")
	}
	for name, build := range map[string]func() (*Signer, error){
		"nothing":          func() (*Signer, error) { return NewSigner(nil, nil) },
		"zero secret":      func() (*Signer, error) { return NewSigner([]Secret{NewSecret(), {}}, nil) },
		"zero signing key": func() (*Signer, error) { return NewSigner([]Secret{NewSecret()}, &SigningKey{}) },
		"17 secrets":       func() (*Signer, error) { return NewSigner(make([]Secret, 17), nil) },
	} {
		if signer, err := build(); err == nil || signer != nil {
			t.Errorf("%s: NewSigner = %v, %v", name, signer, err)
		}
	}
	_, err := NewSigner(make([]Secret, 17), &SigningKey{})
	for _, want := range []string{"16 secrets", "empty secret", "empty signing key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Sign with the zero Secret does not panic")
		}
	}()
	Sign(Secret{}, "id", timeOfTests, nil)
}
