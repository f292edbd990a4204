package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The headers of the Standard Webhooks specification.
const (
	// HeaderID names the event: the same at every attempt, and what receivers tell duplicates by.
	HeaderID = "webhook-id"
	// HeaderTimestamp is when this attempt was signed, in seconds since 1970.
	HeaderTimestamp = "webhook-timestamp"
	// HeaderSignature is a list of signatures, separated by spaces.
	HeaderSignature = "webhook-signature"
)

// The versions of a signature.
const (
	versionHMAC    = "v1"
	versionEd25519 = "v1a"
)

// maxSecrets bounds the signatures in one header. Two are enough to rotate.
const maxSecrets = 16

// Signer signs with every secret it has, so that receivers can rotate theirs in their own time, and with an Ed25519 key
// if it has one. It is safe for concurrent use.
type Signer struct {
	secrets []Secret
	key     SigningKey // zero for none
}

// NewSigner returns a signer for 0 to 16 secrets and an Ed25519 key, nil for none; there must be at least one of either.
// All faults are reported together.
func NewSigner(secrets []Secret, key *SigningKey) (*Signer, error) {
	var faults []error
	if len(secrets) == 0 && key == nil {
		faults = append(faults, errors.New("webhook: signer has neither a secret nor a signing key"))
	}
	if len(secrets) > maxSecrets {
		faults = append(faults, errors.New("webhook: signer has more than 16 secrets"))
	}
	if slices.ContainsFunc(secrets, Secret.isZero) {
		faults = append(faults, errors.New("webhook: signer has an empty secret"))
	}
	if key != nil && key.isZero() {
		faults = append(faults, errors.New("webhook: signer has an empty signing key"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s := &Signer{secrets: slices.Clone(secrets)}
	if key != nil {
		s.key = *key
	}
	return s, nil
}

// Sign sets the three headers for a body that is about to be posted: a v1 signature for each secret, in order, then a
// v1a signature if there is a key. The time is cut to seconds.
//
// The id should hold no '.', which separates the signed parts: the specification asks for that, and where a receiver
// does not insist on JSON bodies it keeps one message from being read as another.
func (s *Signer) Sign(h http.Header, id string, at time.Time, body []byte) {
	stamp := timestamp(at)
	message := signedContent(id, stamp, body)
	signatures := make([]string, 0, len(s.secrets)+1)
	for _, secret := range s.secrets {
		signatures = append(signatures, versionHMAC+","+secret.mac(message))
	}
	if !s.key.isZero() {
		signatures = append(signatures, versionEd25519+","+s.key.sign(message))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, stamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

// Sign returns one v1 signature, for senders that set the headers themselves. It panics if the secret is the zero value:
// signing with an empty key would be worse.
func Sign(secret Secret, id string, at time.Time, body []byte) string {
	if secret.isZero() {
		panic("webhook: Sign with the zero Secret")
	}
	return versionHMAC + "," + secret.mac(signedContent(id, timestamp(at), body))
}

// timestamp is a time as the header writes it.
func timestamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// signedContent is what the specification signs: id.timestamp.body.
func signedContent(id, stamp string, body []byte) []byte {
	content := make([]byte, 0, len(id)+1+len(stamp)+1+len(body))
	content = append(content, id...)
	content = append(content, '.')
	content = append(content, stamp...)
	content = append(content, '.')
	return append(content, body...)
}

// mac returns the base64 of the message's HMAC-SHA256. The secret is not zero.
func (s Secret) mac(message []byte) string {
	m := hmac.New(sha256.New, s.key())
	m.Write(message)
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// sign returns the base64 of the message's Ed25519 signature. The key is not zero.
func (k SigningKey) sign(message []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(k.key(), message))
}
