package stage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

func TestAuditSession_NamesEachBreach(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 20, 51, 3, 0, time.UTC)
	good := receiver.Seen{ID: "evt_1", Type: webhook.Completed, AckedAt: at, Count: 1, Acked: 1}
	removed := marksim.Snapshot{Outcome: marksim.Confirms, Removes: 1, RemovedAt: at.Add(2 * time.Second)}
	event := func(change func(*receiver.Seen)) []receiver.Seen {
		e := good
		change(&e)
		return []receiver.Seen{e}
	}
	session := func(change func(*marksim.Snapshot)) marksim.Snapshot {
		s := removed
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		events  []receiver.Seen
		session marksim.Snapshot
		want    string // "" is no breach
	}{
		"as promised":      {[]receiver.Seen{good}, removed, ""},
		"no event":         {nil, removed, "0 events, not one"},
		"two events":       {[]receiver.Seen{good, good}, removed, "2 events, not one"},
		"posted twice":     {event(func(e *receiver.Seen) { e.Count = 2 }), removed, "posted 2 times"},
		"not acknowledged": {event(func(e *receiver.Seen) { e.Acked, e.AckedAt = 0, time.Time{} }), removed, "acknowledged 0 times"},
		"not removed":      {[]receiver.Seen{good}, session(func(s *marksim.Snapshot) { s.Removes, s.RemovedAt = 0, time.Time{} }), "not removed"},
		"removed twice":    {[]receiver.Seen{good}, session(func(s *marksim.Snapshot) { s.Removes = 2 }), "removed 2 times"},
		"removal refused":  {[]receiver.Seen{good}, session(func(s *marksim.Snapshot) { s.RemovedAt = time.Time{} }), "though it was tried"},
		"removed too soon": {[]receiver.Seen{good}, session(func(s *marksim.Snapshot) { s.RemovedAt = at.Add(-time.Second) }), "removed 1s before"},
		"another story":    {event(func(e *receiver.Seen) { e.Type = webhook.Refused }), removed, "by the script it is identification.completed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			breaches := auditSession(test.events, test.session)
			if test.want == "" && len(breaches) > 0 ||
				test.want != "" && !slices.ContainsFunc(breaches, func(b string) bool { return strings.Contains(b, test.want) }) {
				t.Errorf("got %q, want %q", breaches, test.want)
			}
		})
	}
}

func TestAudit_NamesTheSessionAndRefusedRequests(t *testing.T) {
	t.Parallel()
	breaches := audit([]string{"token-1"}, receiver.New(receiver.Options{}), marksim.New(marksim.Options{}))
	if len(breaches) != 2 || !strings.HasPrefix(breaches[0], "session 1 (token-1): ") {
		t.Errorf("got %q", breaches)
	}
}

func TestScripted_HasATypeForEachOfTheCast(t *testing.T) {
	t.Parallel()
	seen := map[webhook.Type]int{}
	for _, p := range Parts(len(cast)) {
		if p.Person.Code == "" {
			t.Error("the cast has a code that the catalogue has not")
		}
		outcome := p.Person.Outcome
		if outcome == "" {
			outcome = marksim.Confirms
		}
		seen[scripted(outcome)]++
		if p.Person.AfterMin > 15*time.Second || p.Person.AfterMax > 15*time.Second {
			t.Errorf("%s takes too long for a demonstration", p.Person.Code)
		}
	}
	if len(seen) != 4 {
		t.Errorf("the cast ends in %v, want all four types", seen)
	}
}
