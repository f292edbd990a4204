package stage

import (
	"slices"
	"time"

	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Session is how one session stands.
type Session struct {
	Number int    `json:"number"` // from 1
	Token  string `json:"token"`
	Person string `json:"person"` // "" for a session that somebody else started
	Note   string `json:"note"`   // what the person does
	Method string `json:"method"` // smart_id or mobile_id
	Code   string `json:"code"`   // the control code
	Checks bool   `json:"checks"` // PEPs and sanctions were asked for

	// Decided is what somebody who looks on had the person do; "" is nothing.
	Decided Decision `json:"decided,omitempty"`

	StartedAt  time.Time `json:"started_at"`
	Polls      int       `json:"polls"`
	PolledAt   time.Time `json:"polled_at,omitzero"`
	LastAnswer string    `json:"last_answer,omitempty"` // MarkSign's to the last poll, in short
	trouble    bool      // the last poll met a fault

	Answer  string    `json:"answer,omitempty"` // the final one; "" until there is one
	FinalAt time.Time `json:"final_at,omitzero"`
	Outcome string    `json:"outcome,omitempty"` // what the event says
	Verdict Verdict   `json:"verdict,omitempty"` // what may be concluded from it

	Posts       int       `json:"posts"`
	PostedAt    time.Time `json:"posted_at,omitzero"` // the last one
	Delivered   bool      `json:"delivered"`
	GivenUp     bool      `json:"given_up"`
	NextAttempt time.Time `json:"next_attempt_at,omitzero"` // of a post that failed
	LastError   string    `json:"last_error,omitempty"`     // why it failed, or was not made

	Removals    int       `json:"removals"`               // DELETEs, those that failed too
	LastRemoval string    `json:"last_removal,omitempty"` // MarkSign's answer to the last
	RemovedAt   time.Time `json:"removed_at,omitzero"`
}

// Done reports whether the session was removed, which is its end.
func (s Session) Done() bool { return !s.RemovedAt.IsZero() }

// MethodName is how people call the session's method.
func (s Session) MethodName() string { return methodNames[s.Method] }

// Verdict is what an application may conclude from an event, "" until there is one. Only Clear is a person who passed.
type Verdict string

// What there is to conclude.
const (
	Clear        Verdict = "clear"   // identified, and on no list
	Hit          Verdict = "hit"     // identified, and on a list
	NotChecked   Verdict = "unknown" // identified, and a check has no result
	WasRefused   Verdict = "refused"
	HasExpired   Verdict = "expired"
	CouldNotTell Verdict = "failed"
)

// verdict is what an event allows to conclude.
func verdict(e webhook.Event) Verdict {
	switch e.Type {
	case webhook.Completed:
		return verdictOfChecks(e.Data.PEPs, e.Data.Sanctions)
	case webhook.Refused:
		return WasRefused
	case webhook.Expired:
		return HasExpired
	}
	return CouldNotTell
}

func verdictOfChecks(checks ...*webhook.Check) Verdict {
	is := func(result webhook.CheckResult) func(*webhook.Check) bool {
		return func(c *webhook.Check) bool { return c != nil && c.Result == result }
	}
	isClear := is(webhook.Clear)
	switch {
	case slices.ContainsFunc(checks, is(webhook.Hit)):
		return Hit
	case slices.ContainsFunc(checks, func(c *webhook.Check) bool { return !isClear(c) }):
		return NotChecked
	}
	return Clear
}

// summary is an event in two or three words.
func summary(e webhook.Event) string {
	if e.Type == webhook.Failed && e.Data.Error != nil {
		return words[e.Type] + ": " + e.Data.Error.Reason
	}
	peps := e.Data.PEPs != nil && e.Data.PEPs.Result == webhook.Hit
	sanctions := e.Data.Sanctions != nil && e.Data.Sanctions.Result == webhook.Hit
	switch {
	case peps && sanctions:
		return words[e.Type] + ", PEP + sanctions"
	case peps:
		return words[e.Type] + ", PEP"
	case sanctions:
		return words[e.Type] + ", sanctions"
	case verdict(e) == NotChecked:
		return words[e.Type] + ", not checked"
	}
	return words[e.Type]
}

var words = map[webhook.Type]string{
	webhook.Completed: "identified", webhook.Refused: "refused", webhook.Expired: "expired", webhook.Failed: "failed",
}

var methodNames = map[string]string{string(tasks.SmartID): "Smart-ID", string(tasks.MobileID): "Mobile-ID"}
