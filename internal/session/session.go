// Package session owns the identity of a session: the [Job] that its tasks carry,
// the [Name] that it has in task lists and records, and the rules for what is
// accepted at the door. All other packages share it, and it imports none of ours.
//
// It has no behaviour: it never reads or writes Redis and never calls anybody.
//
// Read session.go, then name.go, shard.go (where it lives in Redis), validate.go and account.go.
package session

import "time"

// DefaultAccount is the account of a session that names none.
const DefaultAccount = "default"

// Bounds of what a Job may carry, in bytes.
const (
	MaxTokenLength       = 128
	MaxReferenceLength   = 200
	MaxCallbackURLLength = 2048
	MaxAccountLength     = 32
)

// Retention is how long a finished task is kept.
const (
	DefaultRetention = 24 * time.Hour
	MinRetention     = time.Hour
	MaxRetention     = 30 * 24 * time.Hour
)

// Method says which of MarkSign's identification services holds the session.
type Method string

// The methods that MarkSign offers.
const (
	SmartID  Method = "smart_id"
	MobileID Method = "mobile_id"
)

// Check is a screening that the application asked for when it started the session.
type Check string

// The screenings that MarkSign offers.
const (
	PEPs      Check = "peps"
	Sanctions Check = "sanctions"
)

// Job is a session, as each of its tasks carries it. All of it is public. Its
// fields are those of tasks.Session, where they are explained. It is a value: change
// none that came out of a payload, because the signature covers it.
type Job struct {
	Account     string // empty: DefaultAccount
	Token       string
	Method      Method
	Locale      string // empty: what the worker is configured with
	CallbackURL string // empty: what the worker is configured with
	Reference   string
	Checks      []Check
	StartedAt   time.Time // zero: when a worker first sees the session
	// Retention is for how long its finished tasks are kept. Zero: DefaultRetention.
	Retention time.Duration
	// Signature is that of whoever enqueued it, in base64, or "". The tasks that
	// are made from the job later carry it too.
	Signature string
}

// Name names the session of the job.
func (j Job) Name() Name { return Name{j.AccountName(), j.Token} }

// ID is the ID of the job's Name.
func (j Job) ID() string { return j.Name().ID() }

// AccountName is the account, or DefaultAccount if the job names none.
func (j Job) AccountName() string {
	if j.Account == "" {
		return DefaultAccount
	}
	return j.Account
}
