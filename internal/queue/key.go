package queue

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

	"github.com/identwatch/identwatch/internal/session"
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

// Sign returns the job with its signature by the key: HMAC-SHA256 of all that its
// payload says, in base64. The zero key signs nothing. Retention must be set already.
func Sign(job session.Job, key PayloadKey) session.Job {
	job.Signature = ""
	if !key.IsZero() {
		job.Signature = signature(job, key)
	}
	return job
}

// IsSigned reports whether the job carries a signature by one of the keys.
func IsSigned(job session.Job, keys ...PayloadKey) bool {
	signed := false
	for _, k := range keys {
		if !k.IsZero() && hmac.Equal([]byte(job.Signature), []byte(signature(job, k))) {
			signed = true
		}
	}
	return signed
}

func signature(job session.Job, key PayloadKey) string {
	mac := hmac.New(sha256.New, key.bytes())
	mac.Write(signedBytes(job))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedBytes are what a payload says, each field after its length, so that no
// two payloads have the same.
func signedBytes(job session.Job) []byte {
	started := ""
	if !job.StartedAt.IsZero() {
		started = job.StartedAt.UTC().Format(time.RFC3339Nano)
	}
	fields := []string{
		"identwatch payload 2", job.AccountName(), job.Token, string(job.Method), job.Locale, job.CallbackURL, job.Reference,
		started, strconv.FormatInt(int64(job.Retention/time.Second), 10), strconv.Itoa(len(job.Checks)),
	}
	for _, c := range job.Checks {
		fields = append(fields, string(c))
	}
	var b []byte
	for _, field := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // all are short
		b = append(b, field...)
	}
	return b
}
