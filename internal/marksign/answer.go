package marksign

import (
	"encoding/json"
	"strconv"
	"time"
)

// Verdict is what a status answer means for the session.
type Verdict int

// The verdicts. Identified, Refused, Expired and Failed are final; NotFound,
// CertificateTimeout and Unusable are final after some tries; the others are not.
const (
	Pending            Verdict = iota // the person has not confirmed yet
	Identified                        // Answer.Identity says who it is
	Refused                           // the person refused, or canceled
	Expired                           // the session expired before the person confirmed
	Failed                            // it cannot succeed any more; Reason says why
	NotFound                          // MarkSign knows no such session (40402)
	CertificateTimeout                // MarkSign could not get the certificate (40801)
	Temporary                         // no answer to go by: ask again
	Rejected                          // our access token or account is refused: alert, and ask again
	Unusable                          // the session succeeded, but the answer cannot be used; Detail says why
)

var verdictNames = [...]string{
	Pending:            "pending",
	Identified:         "identified",
	Refused:            "refused",
	Expired:            "expired",
	Failed:             "failed",
	NotFound:           "not_found",
	CertificateTimeout: "certificate_timeout",
	Temporary:          "temporary",
	Rejected:           "rejected",
	Unusable:           "unusable",
}

// String is the verdict as a word for logs and metrics.
func (v Verdict) String() string { return name(verdictNames[:], int(v)) }

// Verdicts returns every verdict.
func Verdicts() []Verdict {
	all := make([]Verdict, len(verdictNames))
	for i := range all {
		all[i] = Verdict(i)
	}
	return all
}

// Answer is what one status call came to. It prints without Message and Identity.
type Answer struct {
	Verdict Verdict

	// Code is MarkSign's error_code; 0 if it sent none.
	Code int

	// Reason is a word for programs: refused, session_expired, no_account,
	// unavailable and the others of answers.go. "" for Pending and Identified.
	Reason string

	// Message is MarkSign's own, at most 500 bytes of valid UTF-8. It may name
	// the person: it is for the event alone, and never for a log.
	Message string

	// RetryAfter is the pause that the server asked for, up to 30 s because a person
	// waits; 0 is none.
	RetryAfter time.Duration

	// Detail says in a fixed vocabulary what was wrong. It is safe to log and to
	// store. "" where nothing was.
	Detail string

	// Identity is who was identified. Only with Identified.
	Identity *Identity

	// Salvage is what came instead. With Unusable, nil if the answer was too large to
	// be read; and with Temporary if an answer said ok and then broke off.
	Salvage *Salvage
}

// Salvage is an answer that cannot be used, as it came. It may speak of somebody
// else than the session's person. It prints as [redacted].
type Salvage struct {
	redacted

	Body []byte // without a byte order mark, and not compressed; it may be the beginning alone
}

// reasonAccess goes with answers that refuse the access token itself.
const reasonAccess = "access_rejected"

// AccessRejected reports whether MarkSign refuses the access token itself, and so
// every call of the account: 40003, or 401 and 403 without a body. What else is
// Rejected may be so for one service of MarkSign's alone.
func (a Answer) AccessRejected() bool { return a.Verdict == Rejected && a.Reason == reasonAccess }

// Identity is a person's identity as MarkSign sent it. It prints as [redacted]
// in fmt, slog and JSON; whoever means to pass it on reads its fields.
//
// The raw fields are valid JSON. An encoder that is to keep them byte for byte
// needs SetEscapeHTML(false), and compacts them even so.
type Identity struct {
	redacted

	Name, Surname string
	Code          string // personal code; never empty
	Country       string // LT, LV, EE

	// PEPs and Sanctions are peps_data and sanctions_data as they came: nil where
	// the field was absent, and null, [] or {} where it said so.
	PEPs, Sanctions json.RawMessage

	// Certificate is an object, as it came; nil where the field was absent.
	Certificate json.RawMessage

	// Upstream is an object of every other field of the answer but token, each
	// value as it came; nil where there was none. A name, surname or country that
	// is neither text nor a number is here too.
	Upstream json.RawMessage
}

// RemoveVerdict is what an answer to a removal means.
type RemoveVerdict int

// The verdicts on a removal.
const (
	RemoveTemporary RemoveVerdict = iota // no answer to go by: try again
	Removed                              // MarkSign says that it removed the session
	RemoveRefused                        // MarkSign answered with an error; perhaps it is removed already
	RemoveRejected                       // our access token is refused: alert, and try again
)

var removeVerdictNames = [...]string{
	RemoveTemporary: "temporary",
	Removed:         "removed",
	RemoveRefused:   "refused",
	RemoveRejected:  "rejected",
}

// String is the verdict as a word for logs and metrics.
func (v RemoveVerdict) String() string { return name(removeVerdictNames[:], int(v)) }

// RemoveAnswer is what one removal came to. It holds nothing personal.
type RemoveAnswer struct {
	Verdict    RemoveVerdict
	RetryAfter time.Duration // the pause that the server asked for, up to 1 h; 0 is none
	Detail     string        // as Answer.Detail
}

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown " + strconv.Itoa(i)
	}
	return names[i]
}
