package tasks

import (
	"time"

	"github.com/identwatch/identwatch/internal/session"
)

// DefaultAccount is the account of a session that names none.
const DefaultAccount = session.DefaultAccount

// Bounds of what a Session may carry, in bytes.
const (
	MaxTokenLength       = session.MaxTokenLength
	MaxReferenceLength   = session.MaxReferenceLength
	MaxCallbackURLLength = session.MaxCallbackURLLength
	MaxAccountLength     = session.MaxAccountLength
)

// Method says which of MarkSign's identification services holds the session. It is
// a string: SmartID or MobileID.
type Method = session.Method

// The methods that MarkSign offers.
const (
	SmartID  Method = session.SmartID
	MobileID Method = session.MobileID
)

// Check is a screening that the application asked for when it started the
// session. Only a check that was asked for can be reported as clear: what
// MarkSign sends for one that was not is unknown. It is a string: PEPs or Sanctions.
type Check = session.Check

// The screenings that MarkSign offers.
const (
	PEPs      Check = session.PEPs
	Sanctions Check = session.Sanctions
)

// Session is one identification session that the application started at
// MarkSign and wants to have followed. All of it is public: it is readable in
// Redis and in asynqmon.
type Session struct {
	// Token is what MarkSign's start call returned: 1 to 128 of A–Z, a–z, 0–9,
	// '-', '_' and '.', and neither "." nor "..". Required. With Account it
	// identifies the session: a second Enqueue of both is a duplicate.
	Token string
	// Method is the service that the session was started with. Required.
	Method Method
	// Locale is the language of MarkSign's messages, "lt" or "en".
	// Empty: what the worker is configured with.
	Locale string
	// CallbackURL receives the event: absolute, https (or http, where the worker
	// allows it), without user information or fragment, on the scheme's own port
	// or one above 1023, at most 2048 bytes. Empty: what the worker is configured with.
	CallbackURL string
	// Reference is the application's own name for the session, for example an
	// order number. It comes back in the event. At most 200 bytes of printable
	// UTF-8, and no place for personal data.
	Reference string
	// Checks are the screenings that were asked for at the start.
	Checks []Check
	// StartedAt is when the session was started. It steers the pace of polling
	// and nothing else. Zero: when a worker first sees the session.
	StartedAt time.Time
	// Account is the MarkSign account that the session belongs to: 1 to 32 of
	// a–z, 0–9, '-' and '_', beginning with a letter.
	// Empty: DefaultAccount.
	Account string
}

// ID is the session's task id, the same in every queue: "account:token".
func (s Session) ID() string { return s.job().ID() }

// FieldError says what is wrong with one field of a Session: Field is its name in
// JSON, for example "callback_url", and Problem never holds the refused value.
type FieldError = session.FieldError

// ValidationError lists every invalid field of a Session, each as a FieldError, in
// its Fields.
type ValidationError = session.ValidationError

// Validate reports everything that is wrong with the session, as a
// *ValidationError, or nil.
func (s Session) Validate() error { return s.job().Validate() }

// job is the session as its tasks carry it, but for retention and signature.
func (s Session) job() session.Job {
	return session.Job{
		Account: s.Account, Token: s.Token, Method: s.Method, Locale: s.Locale, CallbackURL: s.CallbackURL,
		Reference: s.Reference, Checks: s.Checks, StartedAt: s.StartedAt,
	}
}
