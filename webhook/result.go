package webhook

import (
	"net/http"
	"strconv"
	"time"

	"github.com/identwatch/identwatch/internal/retryafter"
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

// Cause says whose failure an attempt is that was not delivered.
type Cause int

const (
	// CauseReceiver is the zero value: the receiver failed, or the way to it, or nobody can say.
	CauseReceiver Cause = iota
	// CauseHere is trouble of this process or machine, such as too many open files, or that the context was canceled.
	// It passes by itself or must be fixed here, and says nothing about the receiver.
	CauseHere
	// CauseRules is a URL, an address or an id that the sender's own rules refuse. It says nothing about the receiver,
	// and lasts until the URL, its DNS or the rules change.
	CauseRules
)

// Details of a [Result] by which an application that may choose callback URLs could find out what there is in a network
// that it cannot see. [PublicDetail] makes one of them.
const (
	DetailName    = "name not resolved"
	DetailAddress = "address is not public and not in CALLBACK_ALLOW_NETWORKS"
	DetailClosed  = "address can never be allowed"
	DetailPort    = "port not allowed"
)

// detailUnreachable stands for all of them.
const detailUnreachable = "name unknown, or address not public and not in CALLBACK_ALLOW_NETWORKS"

// PublicDetail returns a [Result]'s Detail as it may be shown to those who choose callback URLs: it does not say whether
// a name is unknown or leads to an address that is refused.
func PublicDetail(detail string) string {
	switch detail {
	case DetailName, DetailAddress, DetailClosed, DetailPort:
		return detailUnreachable
	}
	return detail
}

// Result is the end of one attempt.
type Result struct {
	Verdict Verdict
	// Cause is whose failure it is. Only CauseReceiver may be held against the receiver.
	Cause Cause
	// Status is the HTTP status, 0 if there was no response.
	Status int
	// RetryAfter is what the response asked for, 0 to 24 h; 0 if it asked for nothing, and after a delivery.
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
	r.RetryAfter = retryafter.Parse(resp.Header.Get("Retry-After"), time.Now(), maxRetryAfter)
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
