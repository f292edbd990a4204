package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verdict says what an attempt came to.
type Verdict int

const (
	// NotDelivered is anything but the other two, redirects included; try again later. It is the zero value, and not
	// called Failed because that is a [Type].
	NotDelivered Verdict = iota
	// Delivered is a 2xx: the receiver has it.
	Delivered
	// Gone is a 410: the receiver wants no more.
	Gone
)

// String returns a word for logs and metrics: delivered, gone or failed.
func (v Verdict) String() string {
	switch v {
	case Delivered:
		return "delivered"
	case Gone:
		return "gone"
	default:
		return "failed"
	}
}

// Result is the end of one attempt.
type Result struct {
	Verdict Verdict
	// Status is the HTTP status, 0 where there was no response.
	Status int
	// RetryAfter is what the response asked for, 0 to 24 h; 0 where it asked for nothing, and after a delivery.
	RetryAfter time.Duration
	// Detail says in a few fixed words what happened. It is never empty, and safe to log and to store: it has no URL, no
	// host, no part of a body.
	Detail string
}

// answered judges a response.
func answered(resp *http.Response) Result {
	r := Result{Status: resp.StatusCode, Detail: "HTTP " + strconv.Itoa(resp.StatusCode)}
	switch status := resp.StatusCode; {
	case status >= 200 && status <= 299:
		r.Verdict = Delivered
		return r
	case status == http.StatusGone:
		r.Verdict = Gone
	case isRedirect(status):
		r.Detail = "redirect not followed (" + r.Detail + ")"
	}
	r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return r
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// maxRetryAfter is the longest pause that is reported.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds without sign, or a date. It returns 0 to 24 h, and 0
// for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	if strings.Trim(value, "0123456789") != "" { // ParseUint finds a number out of range before what follows it
		return 0
	}
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range, seconds is the largest number
		return 0
	}
	return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
}
