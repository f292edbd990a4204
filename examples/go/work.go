package main

import (
	"encoding/json"
	"log"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

const (
	workPause  = 250 * time.Millisecond
	sweepPause = time.Hour
)

// work handles what is in the inbox, for ever. Run one of it.
func work(in inbox) error {
	var swept time.Time
	for ; ; <-time.After(workPause) {
		if time.Since(swept) > sweepPause {
			in.sweep()
			swept = time.Now()
		}
		ids, err := in.waiting()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := handle(in, id); err != nil {
				log.Print("cannot handle ", id, ": ", err) // it stays, and is tried again
				continue
			}
			log.Print("handled ", id)
		}
	}
}

// handle does the work of one event, and then notes that it is done. A worker that is killed between the two does the
// work twice: it must come to the same, as writing this file does. With a database, do both in one transaction.
func handle(in inbox, id string) error {
	known, err := in.wasHandled(id)
	if err != nil {
		return err
	}
	if known { // a kill before the event was forgotten, or a repeat that came in just then
		return in.done(id)
	}
	body, err := in.read(id)
	if err != nil {
		return err
	}
	event, err := webhook.Parse(body) // its errors quote nothing
	if err != nil {
		return err
	}
	if result := decide(event); result.Decision != "" {
		content, err := json.Marshal(result)
		if err != nil {
			return err
		}
		if err := replace(fileOf(in.results, event.Data.Token), content); err != nil {
			return err
		}
	}
	return in.done(id)
}

// result is what this application keeps.
type result struct {
	Reference string `json:"reference"`
	Decision  string `json:"decision"`
	Reason    string `json:"reason,omitempty"`
}

// decide is where your own rules go. Only "clear" is a clearance; "hit" and "unknown" are for a human to look at.
func decide(event webhook.Event) result {
	data := event.Data
	switch event.Type {
	case webhook.Completed:
		if data.PEPs.Result == webhook.Clear && data.Sanctions.Result == webhook.Clear {
			return result{Reference: data.Reference, Decision: "identified"}
		}
		return result{Reference: data.Reference, Decision: "review"}
	case webhook.Refused, webhook.Expired, webhook.Failed:
		return result{Reference: data.Reference, Decision: "not_identified", Reason: data.Error.Reason}
	default:
		return result{} // a type of a later version: acknowledged, and left alone
	}
}
