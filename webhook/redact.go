package webhook

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that fmt and slog show of personal data and of keys.
const redacted = "[redacted]"

func writeRedacted(f fmt.State) { _, _ = io.WriteString(f, redacted) }

// LogValue shows the type and the timestamp; the data is redacted.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("type", string(e.Type)),
		slog.Time("timestamp", e.Timestamp),
		slog.String("data", redacted),
	)
}

// Format prints [redacted] for every verb.
func (Data) Format(f fmt.State, _ rune) { writeRedacted(f) }

// String returns [redacted].
func (Data) String() string { return redacted }

// LogValue returns [redacted].
func (Data) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints [redacted] for every verb.
func (Person) Format(f fmt.State, _ rune) { writeRedacted(f) }

// String returns [redacted].
func (Person) String() string { return redacted }

// LogValue returns [redacted].
func (Person) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints [redacted] for every verb.
func (Check) Format(f fmt.State, _ rune) { writeRedacted(f) }

// String returns [redacted].
func (Check) String() string { return redacted }

// LogValue returns [redacted].
func (Check) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format prints [redacted] for every verb.
func (Secret) Format(f fmt.State, _ rune) { writeRedacted(f) }

// String returns [redacted]; [Secret.Encode] returns the secret.
func (Secret) String() string { return redacted }

// LogValue returns [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted], so that JSON shows no secret either.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints [redacted] for every verb.
func (SigningKey) Format(f fmt.State, _ rune) { writeRedacted(f) }

// String returns [redacted]; [SigningKey.Encode] returns the key.
func (SigningKey) String() string { return redacted }

// LogValue returns [redacted].
func (SigningKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [redacted], so that JSON shows no key either.
func (SigningKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
