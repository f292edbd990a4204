package worker

import (
	"slices"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// simCodes are MarkSign's error codes, by what the person did.
var simCodes = map[marksim.Outcome]int{
	marksim.Refuses: 40020, marksim.WrongCode: 40020, marksim.Expires: 40021, marksim.UnknownAccount: 40401,
	marksim.NotQualified: 40403, marksim.DocumentCorrupted: 40022,
}

var simTypes = map[marksim.Outcome]webhook.Type{
	marksim.Confirms: webhook.Completed, marksim.Refuses: webhook.Refused, marksim.WrongCode: webhook.Refused,
	marksim.Expires: webhook.Expired, marksim.UnknownAccount: webhook.Failed, marksim.NotQualified: webhook.Failed,
	marksim.DocumentCorrupted: webhook.Failed, marksim.Canceled: webhook.Refused,
}

// checkTruth: every event says what the person did, and goes to where it was asked for.
func (c *simCase) checkTruth() {
	for i, p := range c.posts {
		if p.host != c.visit.receiver() {
			c.broken("7: Redis does not decide", "attempt %d went to %s and not to %s", i+1, p.host, c.visit.receiver())
		}
		if wrong := c.wrong(p.event, p); wrong != "" {
			c.broken("the event", "attempt %d is not the truth: %s\n    %.400s", i+1, wrong, p.body)
		}
	}
}

func (c *simCase) wrong(e webhook.Event, p *simPost) string {
	switch {
	case e.Data.Reference != c.visit.reference():
		return "another reference"
	case e.Data.Method != c.visit.method:
		return "another method"
	}
	ill := c.world.log.find(c.world.log.begun, p.begun, []string{simAccounts[c.visit.account]}, markSignIll) != nil
	switch reasonOf(e) {
	case webhook.ReasonDeadline, webhook.ReasonUnavailable:
		return "" // checkEarly looks at when
	case webhook.ReasonNotFound:
		if !c.visit.forgotten && !c.visit.deleted && c.seen.RemovedAt.IsZero() {
			return "MarkSign never lost the session"
		}
		if !c.visit.forgotten && !c.visit.deleted && !c.lostSomething(c.world.log.begun, p.begun) {
			return "the session was removed before"
		}
		return ""
	case webhook.ReasonUnusableAnswer, "certificate_timeout":
		if !ill {
			return "MarkSign was well"
		}
		return ""
	}
	want := simTypes[c.seen.Outcome]
	switch {
	case e.Type != want:
		return "the person " + string(c.seen.Outcome)
	case e.Type == webhook.Completed:
		return c.wrongPerson(e.Data)
	case simCodes[c.seen.Outcome] != 0 && e.Data.Error.Code != simCodes[c.seen.Outcome]:
		return "another error code"
	}
	return ""
}

func (c *simCase) wrongPerson(d webhook.Data) string {
	p := c.visit.person
	if d.Person == nil || *d.Person != (webhook.Person{Name: p.Name, Surname: p.Surname, Code: p.Code, Country: p.Country}) {
		return "another person"
	}
	got := map[tasks.Check]*webhook.Check{tasks.PEPs: d.PEPs, tasks.Sanctions: d.Sanctions}
	hits := map[tasks.Check]int{tasks.PEPs: len(p.PEPs), tasks.Sanctions: len(p.Sanctions)}
	for _, check := range simChecks {
		want := webhook.Unknown
		switch {
		case hits[check] > 0:
			want = webhook.Hit
		case slices.Contains(c.visit.checks, check):
			want = webhook.Clear
		}
		if got[check] == nil || got[check].Result != want || len(got[check].Records) != hits[check] {
			return "another result of the check " + string(check)
		}
	}
	return ""
}
