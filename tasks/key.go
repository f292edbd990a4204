package tasks

import "github.com/identwatch/identwatch/internal/queue"

// PayloadKey signs the payloads of tasks, so that a worker takes those alone that
// somebody wrote who holds the key, and not everybody who can write to Redis. The
// zero PayloadKey is none, and its IsZero reports true. It prints as [redacted];
// its Encode returns it as text, to be kept secret.
type PayloadKey = queue.PayloadKey

// NewPayloadKey makes a random key.
func NewPayloadKey() PayloadKey { return queue.NewPayloadKey() }

// ParsePayloadKey reads a key as Encode writes it, and as `identwatch secret task`
// prints it: task_ and base64 of 32 bytes. The error does not show the text.
func ParsePayloadKey(text string) (PayloadKey, error) { return queue.ParsePayloadKey(text) }
