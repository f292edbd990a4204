package session

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// FieldError says what is wrong with one field of a session.
type FieldError struct {
	Field   string // the name in JSON, for example "callback_url"
	Problem string // never holds the refused value
}

// ValidationError lists every invalid field of a session.
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
// *ValidationError, or nil. It does not look at the retention and the signature.
func (j Job) Validate() error {
	var found faults
	found.add("token", tokenProblem(j.Token))
	found.add("method", methodProblem(j.Method))
	found.add("locale", localeProblem(j.Locale))
	found.add("callback_url", callbackURLProblem(j.CallbackURL))
	found.add("reference", referenceProblem(j.Reference))
	found.add("checks", checksProblem(j.Checks))
	found.add("started_at", startedAtProblem(j.StartedAt))
	found.add("account", accountProblem(j.Account))
	return found.err()
}

// faults are what is wrong with a session.
type faults []FieldError

func (f *faults) add(field, problem string) {
	if problem != "" {
		*f = append(*f, FieldError{field, problem})
	}
}

func (f faults) err() error {
	if f == nil {
		return nil
	}
	return &ValidationError{f}
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
	return AccountProblem(account)
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
