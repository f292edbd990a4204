// Package event makes the event of a session's outcome: from a final answer of
// MarkSign, or from a reason of our own. It posts nothing and stores nothing.
package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// ownMessages say what the reasons mean that are ours, not MarkSign's.
var ownMessages = map[string]string{
	webhook.ReasonDeadline:       "the person did not confirm before the session's time was over",
	webhook.ReasonUnavailable:    "MarkSign gave no answer before the session's time was over",
	webhook.ReasonUnusableAnswer: "MarkSign answered that the identification succeeded, but the answer cannot be used",
	webhook.ReasonInternal:       "a defect in identwatch",
}

// ID is the event's webhook-id: a function of account and token alone, so
// that every attempt, by whichever worker, carries the same.
func ID(sessionID string) string {
	sum := sha256.Sum256([]byte("identwatch event\x00" + sessionID))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// IsOwn reports whether a reason is ours, not MarkSign's.
func IsOwn(reason string) bool {
	_, own := ownMessages[reason]
	return own
}

// Ending is what an event is made from, beside the outcome itself.
type Ending struct {
	Job   session.Job
	Polls int       // how many polls it took
	At    time.Time // the event's timestamp
}

// Answered is the outcome that a final answer of MarkSign stands for.
func (e Ending) Answered(a marksign.Answer) (outcome.Result, error) {
	if a.Verdict == marksign.Identified {
		return e.identified(a.Identity)
	}
	types := map[marksign.Verdict]webhook.Type{marksign.Refused: webhook.Refused, marksign.Expired: webhook.Expired}
	typ, known := types[a.Verdict]
	if !known {
		typ = webhook.Failed
	}
	return e.failed(typ, webhook.Error{Code: a.Code, Reason: a.Reason, Message: a.Message})
}

func (e Ending) identified(id *marksign.Identity) (outcome.Result, error) {
	data := e.data()
	data.Person = &webhook.Person{Name: id.Name, Surname: id.Surname, Code: id.Code, Country: id.Country}
	peps := webhook.NewCheck(id.PEPs, slices.Contains(e.Job.Checks, session.PEPs))
	sanctions := webhook.NewCheck(id.Sanctions, slices.Contains(e.Job.Checks, session.Sanctions))
	data.PEPs, data.Sanctions = &peps, &sanctions
	data.Certificate = id.Certificate
	data.Upstream = upstream(id, peps, sanctions)
	return e.result(webhook.Completed, "", data)
}

// Own is an outcome that is ours: MarkSign gave no final answer.
func (e Ending) Own(reason string) (outcome.Result, error) {
	typ := webhook.Failed
	if reason == webhook.ReasonDeadline {
		typ = webhook.Expired
	}
	return e.failed(typ, webhook.Error{Reason: reason, Message: ownMessages[reason]})
}

func (e Ending) failed(typ webhook.Type, cause webhook.Error) (outcome.Result, error) {
	data := e.data()
	data.Error = &cause
	return e.result(typ, cause.Reason, data)
}

func (e Ending) data() webhook.Data {
	return webhook.Data{Token: e.Job.Token, Reference: e.Job.Reference, Method: string(e.Job.Method)}
}

func (e Ending) result(typ webhook.Type, reason string, data webhook.Data) (outcome.Result, error) {
	body, err := webhook.Event{Type: typ, Timestamp: e.At, Data: data}.Marshal()
	if err != nil {
		return outcome.Result{}, err
	}
	return outcome.Result{
		Type: string(typ), Reason: reason, Polls: e.Polls, Time: e.At, Body: body, Instructions: instructionsOf(e.Job),
	}, nil
}

// instructionsOf is what is sealed with the result of a session.
func instructionsOf(job session.Job) *outcome.Instructions {
	sealed := &outcome.Instructions{
		Account: job.Account, CallbackURL: job.CallbackURL, Method: string(job.Method), Locale: job.Locale, Reference: job.Reference,
	}
	for _, c := range job.Checks {
		sealed.Checks = append(sealed.Checks, string(c))
	}
	return sealed
}

// upstream is what MarkSign sent beside what the event names. Nothing is dropped: a check
// whose records cannot be read is among it.
func upstream(id *marksign.Identity, peps, sanctions webhook.Check) json.RawMessage {
	odd := make(map[string]json.RawMessage)
	for name, check := range map[string]struct {
		sent json.RawMessage
		read webhook.Check
	}{"peps_data": {id.PEPs, peps}, "sanctions_data": {id.Sanctions, sanctions}} {
		if check.read.Result == webhook.Unknown && !isNothing(check.sent) {
			odd[name] = check.sent
		}
	}
	if len(odd) == 0 {
		return id.Upstream
	}
	if id.Upstream != nil {
		if err := json.Unmarshal(id.Upstream, &odd); err != nil {
			return id.Upstream
		}
	}
	merged, err := json.Marshal(odd)
	if err != nil {
		return id.Upstream
	}
	return merged
}

// isNothing reports whether MarkSign sent no records at all, in one of its ways.
func isNothing(sent json.RawMessage) bool {
	switch string(bytes.Join(bytes.Fields(sent), nil)) {
	case "", "null", "[]", "{}":
		return true
	}
	return false
}
