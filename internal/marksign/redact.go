package marksign

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

const redactedText = "[redacted]"

// redacted makes the type that embeds it print as [redacted], by whichever way
// it comes to be printed.
type redacted struct{}

// String is for what prints a Stringer without fmt.
func (redacted) String() string { return redactedText }

// GoString is for what prints a GoStringer without fmt.
func (redacted) GoString() string { return redactedText }

// Format is for fmt, with every verb and flag.
func (redacted) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedText) }

// LogValue is for slog.
func (redacted) LogValue() slog.Value { return slog.StringValue(redactedText) }

// MarshalJSON is for JSON.
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedText + `"`), nil }

// String is the answer without what is personal.
func (a Answer) String() string {
	s := a.Verdict.String()
	if a.Code != 0 {
		s += " code=" + strconv.Itoa(a.Code)
	}
	if a.Reason != "" {
		s += " reason=" + a.Reason
	}
	if a.Detail != "" {
		s += " detail=" + strconv.Quote(a.Detail)
	}
	return s
}

// GoString is as String.
func (a Answer) GoString() string { return a.String() }

// Format writes String, with every verb and flag.
func (a Answer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue is the answer without what is personal, as attributes.
func (a Answer) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("verdict", a.Verdict.String()),
		slog.Int("code", a.Code),
		slog.String("reason", a.Reason),
		slog.String("detail", a.Detail),
	)
}

// MarshalJSON is String in JSON; an answer is not made to be stored.
func (a Answer) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
