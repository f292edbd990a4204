package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
)

// How keys are told apart when written down, after the Standard Webhooks specification.
const (
	secretPrefix     = "whsec_"
	signingKeyPrefix = "whsk_"
	publicKeyPrefix  = "whpk_"
)

// The specification's bounds of an HMAC secret, and the length of a new one, in bytes.
const (
	minSecret = 24
	maxSecret = 64
	newSecret = 32
)

// Secret is an HMAC-SHA256 key that sender and receiver share. It prints as [redacted]. The zero value is no key: it
// signs and verifies nothing.
type Secret struct {
	// key is nil for the zero value. It is a function because fmt cannot call Format where a Secret sits in another
	// type's unexported field; there it would print bytes, and for some verbs what a pointer points to.
	key func() []byte
}

// ParseSecret reads "whsec_" and base64, or the base64 alone, of 24 to 64 bytes. Its error does not quote the input.
func ParseSecret(s string) (Secret, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, secretPrefix))
	if err != nil {
		return Secret{}, errors.New("webhook: secret is not base64 after whsec_")
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return Secret{}, errors.New("webhook: secret is not 24 to 64 bytes long")
	}
	return Secret{key: func() []byte { return key }}, nil
}

// NewSecret returns a random secret of 32 bytes.
func NewSecret() Secret {
	key := make([]byte, newSecret)
	_, _ = rand.Read(key) // it never fails: see crypto/rand
	return Secret{key: func() []byte { return key }}
}

// Encode returns the secret itself, as [ParseSecret] reads it: to be shown once, and to be kept as a secret. It is empty
// for the zero value.
func (s Secret) Encode() string {
	if s.isZero() {
		return ""
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(s.key())
}

func (s Secret) isZero() bool { return s.key == nil }

// SigningKey is an Ed25519 private key, held by the sender alone. It prints as [redacted]. The zero value is no key.
type SigningKey struct {
	key func() ed25519.PrivateKey // as in Secret
}

// ParseSigningKey reads "whsk_" and base64, or the base64 alone, of the 32 bytes of a seed or the 64 bytes of a seed and
// its public key. Its error does not quote the input.
func ParseSigningKey(s string) (SigningKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, signingKeyPrefix))
	if err != nil {
		return SigningKey{}, errors.New("webhook: signing key is not base64 after whsk_")
	}
	if len(raw) != ed25519.SeedSize && len(raw) != ed25519.PrivateKeySize {
		return SigningKey{}, errors.New("webhook: signing key is not 32 or 64 bytes long")
	}
	key := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
	if len(raw) == ed25519.PrivateKeySize && !bytes.Equal(key, raw) {
		return SigningKey{}, errors.New("webhook: the two halves of the signing key do not belong together")
	}
	return SigningKey{key: func() ed25519.PrivateKey { return key }}, nil
}

// NewSigningKey returns a random key.
func NewSigningKey() SigningKey {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // it never fails: see crypto/rand
	key := ed25519.NewKeyFromSeed(seed)
	return SigningKey{key: func() ed25519.PrivateKey { return key }}
}

// Encode returns the private key itself as "whsk_" and base64 of 64 bytes, which other libraries read too. It is empty
// for the zero value.
func (k SigningKey) Encode() string {
	if k.isZero() {
		return ""
	}
	return signingKeyPrefix + base64.StdEncoding.EncodeToString(k.key())
}

// Public returns what receivers verify with, and the zero PublicKey for the zero value.
func (k SigningKey) Public() PublicKey {
	if k.isZero() {
		return PublicKey{}
	}
	return PublicKey{key: [ed25519.PublicKeySize]byte(k.key()[ed25519.SeedSize:])}
}

func (k SigningKey) isZero() bool { return k.key == nil }

// PublicKey is an Ed25519 public key. It is no secret, and comparable. The zero value verifies nothing.
type PublicKey struct {
	key [ed25519.PublicKeySize]byte
}

// ParsePublicKey reads "whpk_" and base64, or the base64 alone, of 32 bytes that are not all zero.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, publicKeyPrefix))
	if err != nil {
		return PublicKey{}, errors.New("webhook: public key is not base64 after whpk_")
	}
	if len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, errors.New("webhook: public key is not 32 bytes long")
	}
	key := PublicKey{key: [ed25519.PublicKeySize]byte(raw)}
	if key.isZero() {
		return PublicKey{}, errors.New("webhook: public key is all zero")
	}
	return key, nil
}

// String returns the key as [ParsePublicKey] reads it.
func (k PublicKey) String() string {
	return publicKeyPrefix + base64.StdEncoding.EncodeToString(k.key[:])
}

// isZero matters more than it seems: 32 zero bytes are a point of small order, for which signatures can be forged.
func (k PublicKey) isZero() bool { return k == PublicKey{} }
