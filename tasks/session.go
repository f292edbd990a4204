package tasks

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/identwatch/identwatch/internal/accountname"
)

// DefaultAccount is the account of a session that names none.
const DefaultAccount = "default"

// Bounds of what a Session may carry, in bytes.
const (
	MaxTokenLength       = 128
	MaxReferenceLength   = 200
	MaxCallbackURLLength = 2048
	MaxAccountLength     = accountname.MaxLength
)

// Method says which of MarkSign's identification services holds the session.
type Method string

// The methods that MarkSign offers.
const (
	SmartID  Method = "smart_id"
	MobileID Method = "mobile_id"
)

// Check is a screening that the application asked for when it started the
// session. Only a check that was asked for can be reported as clear: what
// MarkSign sends for one that was not is unknown.
type Check string

// The screenings that MarkSign offers.
const (
	PEPs      Check = "peps"
	Sanctions Check = "sanctions"
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
func (s Session) ID() string {
	return s.account() + ":" + s.Token
}

func (s Session) account() string {
	if s.Account == "" {
		return DefaultAccount
	}
	return s.Account
}

// FieldError says what is wrong with one field of a Session.
type FieldError struct {
	Field   string // the name in JSON, for example "callback_url"
	Problem string // never holds the refused value
}

// ValidationError lists every invalid field of a Session.
type ValidationError struct {
	Fields []FieldError
}

func (e *ValidationError) Error() string {
	faults := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		faults[i] = f.Field + " " + f.Problem
	}
	return "invalid session: " + strings.Join(faults, "; ")
}

// Validate reports everything that is wrong with the session, as a
// *ValidationError, or nil.
func (s Session) Validate() error {
	var faults []FieldError
	check := func(field, problem string) {
		if problem != "" {
			faults = append(faults, FieldError{field, problem})
		}
	}
	check("token", tokenProblem(s.Token))
	check("method", methodProblem(s.Method))
	check("locale", localeProblem(s.Locale))
	check("callback_url", callbackURLProblem(s.CallbackURL))
	check("reference", referenceProblem(s.Reference))
	check("checks", checksProblem(s.Checks))
	check("started_at", startedAtProblem(s.StartedAt))
	check("account", accountProblem(s.Account))
	if faults == nil {
		return nil
	}
	return &ValidationError{faults}
}

func tokenProblem(token string) string {
	switch {
	case token == "":
		return "is required"
	case len(token) > MaxTokenLength:
		return fmt.Sprintf("is longer than %d characters", MaxTokenLength)
	case token == "." || token == "..":
		return "must not be a relative path segment"
	case strings.ContainsFunc(token, func(r rune) bool { return !isTokenChar(r) }):
		return "may hold A–Z, a–z, 0–9, '-', '_' and '.' only"
	}
	return ""
}

func isTokenChar(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}

func methodProblem(m Method) string {
	switch m {
	case SmartID, MobileID:
		return ""
	case "":
		return "is required: smart_id or mobile_id"
	}
	return "must be smart_id or mobile_id"
}

func localeProblem(locale string) string {
	switch locale {
	case "", "lt", "en":
		return ""
	}
	return "must be lt or en"
}

func checksProblem(checks []Check) string {
	for i, c := range checks {
		if c != PEPs && c != Sanctions {
			return "may hold peps and sanctions only"
		}
		if slices.Contains(checks[:i], c) {
			return "must not name a check twice"
		}
	}
	return ""
}

func referenceProblem(reference string) string {
	switch {
	case len(reference) > MaxReferenceLength:
		return fmt.Sprintf("is longer than %d bytes", MaxReferenceLength)
	case !utf8.ValidString(reference):
		return "is not valid UTF-8"
	case strings.ContainsFunc(reference, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds a character that cannot be printed"
	}
	return ""
}

func startedAtProblem(t time.Time) string {
	if year := t.UTC().Year(); t.IsZero() || year >= 2000 && year <= 9999 {
		return ""
	}
	return "is not between the years 2000 and 9999"
}

func accountProblem(account string) string {
	if account == "" {
		return ""
	}
	return accountname.Problem(account)
}

// callbackURLProblem refuses what can be seen before DNS. The worker checks the
// address again when it dials.
func callbackURLProblem(raw string) string {
	if raw == "" {
		return ""
	}
	if len(raw) > MaxCallbackURLLength {
		return fmt.Sprintf("is longer than %d bytes", MaxCallbackURLLength)
	}
	u, err := url.Parse(raw)
	if err != nil || !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "is not a URL"
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https:// (or http://, where the worker allows it)"
	case u.Hostname() == "":
		return "names no host"
	case u.User != nil:
		return "must not hold a user name or password"
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return "must not hold a fragment"
	case !portAllowed(u):
		return "must use the scheme's own port or one above 1023"
	}
	return ""
}

func portAllowed(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return false
	}
	return port > 1023 || port == 443 && u.Scheme == "https" || port == 80 && u.Scheme == "http"
}
