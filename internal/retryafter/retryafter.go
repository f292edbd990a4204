// Package retryafter owns the Retry-After header (RFC 9110, section 10.2.3), both
// ways: what MarkSign and receivers ask of us, and what we ask of clients. It never
// decides whether a request is repeated. Receivers import it through package
// webhook, so it needs the standard library alone.
package retryafter

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Parse returns the pause from now that the value of a header asks for: whole
// seconds without a sign, or a date. It is never negative and never longer than
// limit, which is not negative. It is 0 if the value is empty, cannot be read, or is
// a date that is past.
func Parse(value string, now time.Time, limit time.Duration) time.Duration {
	value = strings.Trim(value, " \t")
	if isNumber(value) {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(limit/time.Second) {
			return limit // a number can be too large even to parse
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), limit)
}

// Format returns the value that asks for a pause: whole seconds, rounded up, and at
// least one, because a client that comes back at once would be refused again.
func Format(pause time.Duration) string {
	seconds := pause / time.Second
	if pause%time.Second > 0 {
		seconds++
	}
	return strconv.FormatInt(int64(max(seconds, 1)), 10)
}

// isNumber reports whether a text is digits and nothing else.
func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
