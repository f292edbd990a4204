package demo

import (
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

func (s Session) done() bool { return !s.RemovedAt.IsZero() }

func (s Session) endedOr(now time.Time) time.Time {
	if s.done() {
		return s.RemovedAt
	}
	return now
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
	}
	return words[e.Type]
}

var words = map[webhook.Type]string{
	webhook.Completed: "identified", webhook.Refused: "refused", webhook.Expired: "expired", webhook.Failed: "failed",
}

// methodNames are how people call the methods.
var methodNames = map[string]string{string(tasks.SmartID): "Smart-ID", string(tasks.MobileID): "Mobile-ID"}
