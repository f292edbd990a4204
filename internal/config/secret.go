package config

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every secret prints as, the empty one too.
const redacted = "[redacted]"

// Secret holds a value that must not be seen: fmt with any verb, slog, and the
// encoders of JSON, XML and YAML show [redacted] in its place.
//
// The zero Secret holds the zero value. Comparing two with == compares
// addresses; compare what they reveal.
type Secret[T any] struct {
	// Two pointers, for fmt asks no method of an unexported field of another
	// struct, nor of an operand of %p or %w: it walks the value, and follows
	// one pointer on its way. Of the second it prints the address.
	value **T
}

// NewSecret hides value.
func NewSecret[T any](value T) Secret[T] {
	first := &value
	return Secret[T]{value: &first}
}

// Reveal returns the hidden value, or the zero value where there is none. The
// caller keeps it out of logs and errors, and does not change what it points to.
func (s Secret[T]) Reveal() T {
	if s.value == nil {
		var none T
		return none
	}
	return **s.value
}

// String returns [redacted].
func (s Secret[T]) String() string { return redacted }

// Format writes [redacted], whatever the verb.
func (s Secret[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns [redacted].
func (s Secret[T]) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns [redacted].
func (s Secret[T]) LogValue() slog.Value { return slog.StringValue(redacted) }
