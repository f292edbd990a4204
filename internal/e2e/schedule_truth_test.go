//go:build unix

package e2e

import (
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// errorCodes are MarkSign's, by what the person did.
var errorCodes = map[marksim.Outcome]int{
	marksim.Refuses: 40020, marksim.WrongCode: 40020, marksim.Expires: 40021, marksim.UnknownAccount: 40401,
	marksim.NotQualified: 40403, marksim.DocumentCorrupted: 40022,
}

// truth: every event says what the person did.
func (a account) truth(c *chronicle) []finding {
	ours := c.releases.least(func(s settings) time.Duration { return s.session })
	var all []finding
	for i, e := range a.events {
		if wrong := a.wrong(e, a.posts[i].begun, ours); wrong != "" {
			all = append(all, broken("post %d is not the truth: %s\n%s", i+1, wrong, gist(e)))
		}
	}
	return all
}

// wrong says what is not true in an event that was posted at a time, "" where
// all is. No worker ends a session by itself before it is so old.
func (a account) wrong(e webhook.Event, at time.Time, ours time.Duration) string {
	switch {
	case e.Data.Token != a.admission.token:
		return "another token"
	case e.Data.Reference != a.reference:
		return "another reference"
	case e.Data.Method != a.method:
		return "another method"
	case e.Data.Error != nil && slices.Contains([]string{"deadline", "unavailable"}, e.Data.Error.Reason):
		if early := a.story.at.StartedAt.Add(ours).Sub(at); early > 0 {
			return "an end of ours, " + early.String() + " before the session's time was over"
		}
		return ""
	case e.Data.Error != nil && e.Data.Error.Reason == "not_found":
		if !a.forgotten {
			return "MarkSign never lost the session"
		}
		return ""
	case e.Type != typeOf(a.at.Outcome):
		return "the person " + string(a.at.Outcome)
	case e.Type == webhook.Completed:
		return a.wrongPerson(e.Data)
	case errorCodes[a.at.Outcome] != 0 && e.Data.Error.Code != errorCodes[a.at.Outcome]:
		return "another error code"
	}
	return ""
}

func (a account) wrongPerson(d webhook.Data) string {
	p := a.person
	if *d.Person != (webhook.Person{Name: p.Name, Surname: p.Surname, Code: p.Code, Country: p.Country}) {
		return "another person"
	}
	for check, told := range map[tasks.Check]struct {
		got  *webhook.Check
		hits int
	}{tasks.PEPs: {d.PEPs, len(p.PEPs)}, tasks.Sanctions: {d.Sanctions, len(p.Sanctions)}} {
		want := webhook.Unknown
		switch {
		case told.hits > 0:
			want = webhook.Hit
		case slices.Contains(a.checks, check):
			want = webhook.Clear
		}
		if told.got == nil || told.got.Result != want || len(told.got.Records) != told.hits {
			return "another result of the check " + string(check)
		}
	}
	if len(d.Certificate) == 0 {
		return "no certificate"
	}
	return ""
}
