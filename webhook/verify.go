package webhook

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why a request is not accepted. None of them quotes the request. A receiver answers all but ErrNoKeys, which is its own
// fault, with a status in the 400s; identwatch then tries again later.
var (
	// ErrNoKeys: the Verifier has no usable key.
	ErrNoKeys = errors.New("webhook: verifier has no key")
	// ErrNoSignature: at least one of the three headers is missing.
	ErrNoSignature = errors.New("webhook: request is not signed")
	// ErrInvalidHeaders: a header is repeated, too long, or not of its form.
	ErrInvalidHeaders = errors.New("webhook: signature headers are malformed")
	// ErrTimestamp: the request was signed too long ago, or too far in the future. Check the clock.
	ErrTimestamp = errors.New("webhook: timestamp outside the tolerance")
	// ErrSignature: no signature is by a key of the Verifier's for this id, timestamp and body.
	ErrSignature = errors.New("webhook: no signature matches")
	// ErrBody: the body could not be read whole, or is longer than [MaxBody].
	ErrBody = errors.New("webhook: body unreadable or longer than 9 MiB")
)

// MaxBody is how long an event may be, in bytes: an answer of MarkSign, which may have 8 MiB, and what is put around it.
// Most events have a few KiB; long are those of persons who are on many lists. A receiver and every proxy before it must
// let as much through.
const MaxBody = 9 << 20

const (
	defaultTolerance = 5 * time.Minute
	maxID            = 256  // bytes of webhook-id
	maxTimestamp     = 11   // digits of webhook-timestamp: enough to the year 5138
	maxSignature     = 2048 // bytes of webhook-signature: 16 secrets and a key need 860
)

// Verifier checks that a request is identwatch's. One matching signature by any of its keys is enough, so that keys
// rotate: add the new key here first, then switch the sender, then remove the old. It may be copied, and is safe for
// concurrent use while its fields are left alone.
type Verifier struct {
	// Secrets verify v1 signatures. Zero secrets are ignored.
	Secrets []Secret
	// PublicKeys verify v1a signatures. Zero keys are ignored.
	PublicKeys []PublicKey
	// Tolerance is how far the timestamp may be from now, both ways; 0 is 5 minutes, negative accepts nothing.
	Tolerance time.Duration
}

// Request reads, verifies and parses a request. The body may be up to [MaxBody] and is used up, but not closed.
//
// The id is the same at every attempt to deliver an event: keep it with what you store, and acknowledge an id that you
// have seen without acting on it again. It is empty unless a signature matched; with an error that wraps [ErrEvent] it
// is set, and the sender is genuine.
func (v Verifier) Request(r *http.Request) (id string, event Event, err error) {
	signed, err := v.headers(r.Header)
	if err != nil {
		return "", Event{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, MaxBody))
	if err != nil {
		return "", Event{}, ErrBody
	}
	if err := v.match(signed, body); err != nil {
		return "", Event{}, err
	}
	event, err = Parse(body)
	return signed.id, event, err
}

// Verify checks the headers' signatures of a body that was read elsewhere, byte for byte as it came. It returns
// [ErrNoKeys], [ErrNoSignature], [ErrInvalidHeaders], [ErrTimestamp] or [ErrSignature], possibly wrapped.
func (v Verifier) Verify(h http.Header, body []byte) error {
	signed, err := v.headers(h)
	if err != nil {
		return err
	}
	return v.match(signed, body)
}

// signedHeaders are the three headers once they are known to be of their form and in time.
type signedHeaders struct {
	id, stamp  string
	signatures []string
}

// headers reads what can be checked without the body.
func (v Verifier) headers(h http.Header) (signedHeaders, error) {
	if !slices.ContainsFunc(v.Secrets, usable) && !slices.ContainsFunc(v.PublicKeys, usable) {
		return signedHeaders{}, ErrNoKeys
	}
	id, idErr := header(h, HeaderID, maxID)
	stamp, stampErr := header(h, HeaderTimestamp, maxTimestamp)
	signatures, signaturesErr := header(h, HeaderSignature, maxSignature)
	if err := cmp.Or(idErr, stampErr, signaturesErr); err != nil {
		return signedHeaders{}, err
	}
	if !validID(id) {
		return signedHeaders{}, fmt.Errorf("%w: %s", ErrInvalidHeaders, HeaderID)
	}
	if err := v.inTime(stamp); err != nil {
		return signedHeaders{}, err
	}
	return signedHeaders{id: id, stamp: stamp, signatures: strings.Split(signatures, " ")}, nil
}

// header returns a header that must be there once, and no longer than limit.
func header(h http.Header, name string, limit int) (string, error) {
	switch values := h.Values(name); {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", fmt.Errorf("%w: no %s", ErrNoSignature, name)
	case len(values) > 1 || len(values[0]) > limit:
		return "", fmt.Errorf("%w: %s", ErrInvalidHeaders, name)
	default:
		return values[0], nil
	}
}

// validID reports whether an id can be a webhook-id: 1 to 256 visible ASCII characters.
func validID(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// inTime checks a timestamp, which is decimal without sign or leading zeros, so that it is signed in one form only.
func (v Verifier) inTime(stamp string) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || strconv.FormatInt(seconds, 10) != stamp {
		return fmt.Errorf("%w: %s", ErrInvalidHeaders, HeaderTimestamp)
	}
	tolerance := cmp.Or(v.Tolerance, defaultTolerance)
	switch age := time.Since(time.Unix(seconds, 0)); {
	case age > tolerance:
		return fmt.Errorf("%w: too old", ErrTimestamp)
	case age < -tolerance:
		return fmt.Errorf("%w: too new", ErrTimestamp)
	}
	return nil
}

// match looks for one good signature. Versions it does not know, and garbage, are passed over.
func (v Verifier) match(signed signedHeaders, body []byte) error {
	message := signedContent(signed.id, signed.stamp, body)
	macs := make([]string, 0, len(v.Secrets))
	for _, secret := range v.Secrets {
		if usable(secret) {
			macs = append(macs, secret.mac(message))
		}
	}
	for _, signature := range signed.signatures {
		version, value, _ := strings.Cut(signature, ",")
		switch version {
		case versionHMAC:
			if slices.ContainsFunc(macs, func(mac string) bool { return hmac.Equal([]byte(mac), []byte(value)) }) {
				return nil
			}
		case versionEd25519:
			if v.matchEd25519(value, message) {
				return nil
			}
		}
	}
	return ErrSignature
}

// matchEd25519 reports whether one of the public keys made the signature.
func (v Verifier) matchEd25519(encoded string, message []byte) bool {
	signature, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return false
	}
	return slices.ContainsFunc(v.PublicKeys, func(k PublicKey) bool {
		return usable(k) && ed25519.Verify(k.key[:], message, signature)
	})
}

// usable reports whether a key is more than its zero value.
func usable[K interface{ isZero() bool }](key K) bool { return !key.isZero() }
