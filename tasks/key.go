package tasks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// keyPrefix makes a key known for what it is, to people and to scanners of
// source code, and keeps it apart from the other keys of identwatch.
const keyPrefix = "task_"

const keySize = 32

// PayloadKey signs the payloads of tasks, so that a worker takes those alone that
// somebody wrote who holds the key, and not everybody who can write to Redis. The
// zero PayloadKey is none. It prints as [redacted]; [PayloadKey.Encode] shows it.
type PayloadKey struct {
	// Two pointers, because fmt asks no method of an unexported field of another
	// struct: it walks the value, and follows one pointer on its way.
	key **[keySize]byte
}

func keyOf(raw [keySize]byte) PayloadKey {
	first := &raw
	return PayloadKey{&first}
}

func (k PayloadKey) bytes() []byte { return (*k.key)[:] }

// NewPayloadKey makes a random key.
func NewPayloadKey() PayloadKey {
	var raw [keySize]byte
	_, _ = rand.Read(raw[:]) // it never fails: see crypto/rand
	return keyOf(raw)
}

// ParsePayloadKey reads a key as Encode writes it, and as `identwatch secret task`
// prints it: task_ and base64 of 32 bytes. The error does not show the text.
func ParsePayloadKey(text string) (PayloadKey, error) {
	encoded, marked := strings.CutPrefix(text, keyPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !marked || err != nil || len(raw) != keySize || [keySize]byte(raw) == [keySize]byte{} {
		return PayloadKey{}, errors.New("not a payload key: write task_ and base64 of 32 random bytes, for example from `identwatch secret task`")
	}
	return keyOf([keySize]byte(raw)), nil
}

// Encode returns the key as text. Keep it secret.
func (k PayloadKey) Encode() string {
	if k.IsZero() {
		return ""
	}
	return keyPrefix + base64.StdEncoding.EncodeToString(k.bytes())
}

// IsZero reports whether there is no key.
func (k PayloadKey) IsZero() bool { return k.key == nil }

// String returns [redacted].
func (k PayloadKey) String() string { return "[redacted]" }

// Format writes [redacted], whatever the verb.
func (k PayloadKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns [redacted].
func (k PayloadKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue returns [redacted].
func (k PayloadKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// sign returns the signature of what a payload says: HMAC-SHA256 in base64.
func (k PayloadKey) sign(f Followed) string {
	mac := hmac.New(sha256.New, k.bytes())
	mac.Write(f.signedBytes())
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedBytes are what a payload says, each field after its length, so that no
// two payloads have the same.
func (f Followed) signedBytes() []byte {
	started := ""
	if !f.StartedAt.IsZero() {
		started = f.StartedAt.UTC().Format(time.RFC3339Nano)
	}
	fields := []string{
		"identwatch payload 2", f.account(), f.Token, string(f.Method), f.Locale, f.CallbackURL, f.Reference,
		started, strconv.FormatInt(int64(f.Retention/time.Second), 10), strconv.Itoa(len(f.Checks)),
	}
	for _, c := range f.Checks {
		fields = append(fields, string(c))
	}
	var b []byte
	for _, field := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // all are short
		b = append(b, field...)
	}
	return b
}

// SignedWith reports whether the payload carries a signature by one of the keys.
func (f Followed) SignedWith(keys ...PayloadKey) bool {
	signed := false
	for _, k := range keys {
		if !k.IsZero() && hmac.Equal([]byte(f.signature), []byte(k.sign(f))) {
			signed = true
		}
	}
	return signed
}
