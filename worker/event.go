package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Reasons of ends that are ours, not MarkSign's.
const (
	reasonDeadline    = "deadline"
	reasonUnavailable = "unavailable"
	reasonInternal    = "internal"
)

// eventID is the event's webhook-id: a function of account and token alone, so
// that every attempt, by whichever worker, carries the same.
func eventID(sessionID string) string {
	sum := sha256.Sum256([]byte("identwatch event\x00" + sessionID))
	return "evt_" + hex.EncodeToString(sum[:16])
}

// answeredResult is the outcome that a final answer of MarkSign stands for.
func answeredResult(s tasks.Session, polls int, a marksign.Answer) (outcome.Result, error) {
	if a.Verdict == marksign.Identified {
		return identifiedResult(s, polls, a.Identity)
	}
	types := map[marksign.Verdict]webhook.Type{marksign.Refused: webhook.Refused, marksign.Expired: webhook.Expired}
	typ, known := types[a.Verdict]
	if !known {
		typ = webhook.Failed
	}
	return errorResult(s, polls, typ, webhook.Error{Code: a.Code, Reason: a.Reason, Message: a.Message})
}

func identifiedResult(s tasks.Session, polls int, id *marksign.Identity) (outcome.Result, error) {
	data := eventData(s)
	data.Person = &webhook.Person{Name: id.Name, Surname: id.Surname, Code: id.Code, Country: id.Country}
	peps := webhook.NewCheck(id.PEPs, slices.Contains(s.Checks, tasks.PEPs))
	sanctions := webhook.NewCheck(id.Sanctions, slices.Contains(s.Checks, tasks.Sanctions))
	data.PEPs, data.Sanctions = &peps, &sanctions
	data.Certificate = id.Certificate
	data.Upstream = upstream(id, peps, sanctions)
	return result(webhook.Completed, "", polls, data)
}

// ownResult is an outcome that is ours: MarkSign gave no final answer.
func ownResult(s tasks.Session, polls int, typ webhook.Type, reason, message string) (outcome.Result, error) {
	return errorResult(s, polls, typ, webhook.Error{Reason: reason, Message: message})
}

func errorResult(s tasks.Session, polls int, typ webhook.Type, e webhook.Error) (outcome.Result, error) {
	data := eventData(s)
	data.Error = &e
	return result(typ, e.Reason, polls, data)
}

func eventData(s tasks.Session) webhook.Data {
	return webhook.Data{Token: s.Token, Reference: s.Reference, Method: string(s.Method)}
}

func result(typ webhook.Type, reason string, polls int, data webhook.Data) (outcome.Result, error) {
	body, err := webhook.Event{Type: typ, Timestamp: time.Now(), Data: data}.Marshal()
	if err != nil {
		return outcome.Result{}, err
	}
	return outcome.Result{Type: string(typ), Reason: reason, Polls: polls, Body: body}, nil
}

// upstream is what MarkSign sent beside what the event names. A check of a shape
// that holds no record that can be told is among it, for nothing is dropped.
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
