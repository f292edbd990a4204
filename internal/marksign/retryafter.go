package marksign

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxRetryAfter bounds what a server may ask for.
	maxRetryAfter = time.Hour
	// maxPollRetryAfter bounds it for polls: a person waits, and a final result
	// stays readable for minutes only.
	maxPollRetryAfter = 30 * time.Second
)

// retryAfter reads a Retry-After header, which is whole seconds or a date
// (RFC 9110, 10.2.3), as the pause from now: 0 where there is none, it is past or
// it cannot be read, and never more than maxRetryAfter.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if digits(value) {
		seconds, err := strconv.ParseUint(value, 10, 32)
		if err != nil || seconds > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter // too large even to parse
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// digits reports whether s is a number of nothing but digits.
func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}
