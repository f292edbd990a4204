//go:build unix

package e2e

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// tale builds the account of a session by hand, in seconds from its beginning.
type tale struct {
	account
	chronicle
	zero time.Time
}

func (t *tale) at(seconds float64) time.Time {
	return t.zero.Add(time.Duration(seconds * float64(time.Second)))
}

func (t *tale) event() webhook.Event {
	p := t.person
	return webhook.Event{Type: webhook.Completed, Data: webhook.Data{
		Token: t.admission.token, Reference: t.reference, Method: t.method,
		Person:      &webhook.Person{Name: p.Name, Surname: p.Surname, Code: p.Code, Country: p.Country},
		PEPs:        &webhook.Check{Result: webhook.Unknown},
		Sanctions:   &webhook.Check{Result: webhook.Unknown},
		Certificate: []byte(`{}`),
	}}
}

func (t *tale) post(by string, from, to float64, status int) *post {
	t.posts = append(t.posts, post{by: by, id: "evt_1", typ: webhook.Completed, body: sha256.Sum256(nil), begun: t.at(from), ended: t.at(to), status: status})
	t.events = append(t.events, t.event())
	return &t.posts[len(t.posts)-1]
}

func (t *tale) remove(by string, at float64) {
	t.calls = append(t.calls, call{by: by, removal: true, at: t.at(at)})
	t.story.at.RemovedAt, t.story.at.Removes = t.at(at), t.story.at.Removes+1
}

func (t *tale) befell(what trouble, who string, from, to float64) *incident {
	in := &incident{what: what, who: who, from: t.at(from), to: t.at(to)}
	t.incidents = append(t.incidents, in)
	return in
}

// told is a session that A posted at 10 s and removed at 12.5 s.
func told() *tale {
	t := &tale{zero: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	patient := usualSettings()
	patient.delivery, patient.session = 10*time.Second, time.Minute
	t.releases = releases{usualSettings(), patient}
	t.runs("A", usualSettings())
	t.runs("B", usualSettings())
	t.runs("Patient", patient)
	t.visit = visit{token: "tale-1", reference: "r", method: marksim.SmartID, person: confirms(0, 0)}
	t.asked, t.accepted = t.at(0), t.at(0.1)
	t.story = story{token: t.visit.token, at: marksim.Snapshot{Outcome: marksim.Confirms, StartedAt: t.zero}}
	t.state, t.removal = outcome.Delivered, outcome.Removed
	t.post("A", 10, 10.1, 204)
	return t
}

// TestScheduleChecker_FindsWhatIsPlanted makes sure that a schedule can fail.
func TestScheduleChecker_FindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		plant func(*tale)
		want  string // of the fault; "" is none
		why   string // of the explanation; "" is none
	}{
		"all is well":               {plant: func(t *tale) { t.remove("A", 12.5) }},
		"never acknowledged":        {func(t *tale) { t.posts[0].status = 500; t.remove("A", 12.5) }, "no receiver acknowledged", ""},
		"not at its end":            {func(t *tale) { t.state = outcome.Sealed; t.remove("A", 12.5) }, "its record says", ""},
		"not removed":               {func(t *tale) { t.removal = outcome.NotRemoved }, "its removal is", ""},
		"removed only in name":      {func(*tale) {}, "MarkSign has it", ""},
		"unknown for no reason":     {func(t *tale) { t.removal = outcome.RemovedUnknown }, "nothing explains it", ""},
		"unknown after a lost word": {func(t *tale) { t.removal = outcome.RemovedUnknown; t.remove("A", 12.5); t.remove("A", 20) }, "", "first DELETE was lost"},
		"DELETE before the 2xx":     {func(t *tale) { t.remove("A", 9.9) }, "before any receiver's word", ""},
		"DELETE after a cut 2xx":    {func(t *tale) { t.posts[0].cut = true; t.remove("A", 12.5) }, "before any receiver's word", ""},
		"DELETE at once":            {func(t *tale) { t.remove("A", 11) }, "only 900ms after", ""},
		"another id": {func(t *tale) {
			t.befell(killed, "A", 10.2, 10.2)
			t.post("B", 20, 20.1, 204).id = "evt_2"
			t.remove("B", 22.5)
		}, "different webhook-ids", "killed before"},
		"another body": {func(t *tale) {
			t.befell(killed, "A", 10.2, 10.2)
			t.post("B", 20, 20.1, 204).body[0]++
			t.remove("B", 22.5)
		}, "different bodies", "killed before"},
		"another body after a rollback": {func(t *tale) {
			t.befell(redisLost, "", 9.9, 10.5)
			t.post("B", 20, 20.1, 204).body[0]++
			t.remove("B", 22.5)
		}, "", "Redis lost the sealed result"},
		"another story after a rollback": {func(t *tale) {
			t.befell(redisLost, "", 9.9, 10.5)
			t.post("B", 20, 20.1, 204).body[0]++
			t.events[1].Data.Sanctions.Result = webhook.Clear
			t.remove("B", 22.5)
		}, "different stories", "Redis lost the note"},
		"a rollback of others": {func(t *tale) {
			t.befell(redisLost, "", 9.9, 10.5).tail = []byte("default:another")
			t.post("B", 20, 20.1, 204)
			t.remove("B", 22.5)
		}, "nothing explains it", ""},
		"another person":    {func(t *tale) { t.events[0].Data.Person.Code = "1"; t.remove("A", 12.5) }, "another person", ""},
		"a false clearance": {func(t *tale) { t.events[0].Data.PEPs.Result = webhook.Clear; t.remove("A", 12.5) }, "result of the check peps", ""},
		"another outcome":   {func(t *tale) { t.events[0].Type = webhook.Refused; t.remove("A", 12.5) }, "the person confirms", ""},
		"not found": {func(t *tale) {
			t.events[0].Type, t.events[0].Data.Error = webhook.Failed, &webhook.Error{Reason: "not_found"}
			t.remove("A", 12.5)
		}, "never lost the session", ""},
		"the deadline at 10 s": {func(t *tale) {
			t.events[0].Type, t.events[0].Data.Error = webhook.Expired, &webhook.Error{Reason: "deadline"}
			t.remove("A", 12.5)
		}, "before the session's time was over", ""},
		"the deadline by the shorter of two settings": {plant: func(t *tale) {
			t.events[0].Type, t.events[0].Data.Error = webhook.Expired, &webhook.Error{Reason: "deadline"}
			t.posts[0].begun, t.posts[0].ended = t.at(31), t.at(31.1)
			t.remove("A", 34)
		}},
		"overlapping": {func(t *tale) { t.posts[0].status = 500; t.post("B", 10.05, 10.2, 204); t.remove("B", 12.5) }, "posts overlap", ""},
		"overlapping a sleeper": {func(t *tale) {
			t.posts[0].status = 0
			t.befell(suspended, "A", 9, 11)
			t.post("B", 10.05, 10.2, 204)
			t.remove("B", 12.5)
		}, "", "the sender was suspended"},
		"a deaf receiver": {func(t *tale) { t.posts[0].ended = t.at(14); t.post("B", 12.5, 12.6, 204); t.remove("B", 16.5) }, "", "too late"},
		"overlapping one that waits longer": {func(t *tale) {
			t.posts[0].by, t.posts[0].ended, t.posts[0].status = "Patient", t.at(18), 500
			t.post("B", 13, 13.1, 204)
			t.remove("B", 18)
		}, "posts overlap", ""},
		"after one that gave up": {plant: func(t *tale) {
			t.posts[0].ended, t.posts[0].status = t.at(18), 500
			t.post("B", 13, 13.1, 204)
			t.remove("B", 18)
		}},
		"in time for one that waits longer": {func(t *tale) {
			t.posts[0].by, t.posts[0].ended = "Patient", t.at(14)
			t.post("B", 22.5, 22.6, 204)
			t.remove("B", 26.5)
		}, "nothing explains it", ""},
		"twice for no reason":     {func(t *tale) { t.post("A", 11, 11.1, 204); t.remove("A", 13.5) }, "nothing explains it", ""},
		"again, though not acked": {func(t *tale) { t.post("A", 11, 11.1, 500); t.remove("A", 13.5) }, "nothing explains it", ""},
		"twice after a kill":      {func(t *tale) { t.befell(killed, "A", 10.2, 10.2); t.post("B", 15, 15.1, 204); t.remove("B", 18) }, "", "killed before"},
		"twice, another killed":   {func(t *tale) { t.befell(killed, "B", 10.2, 10.2); t.post("B", 15, 15.1, 204); t.remove("B", 18) }, "nothing explains it", ""},
		"twice, killed long after": {func(t *tale) {
			t.befell(killed, "A", 12, 12)
			t.post("B", 15, 15.1, 204)
			t.remove("B", 18)
		}, "nothing explains it", ""},
		"twice, killed while Redis was away": {func(t *tale) {
			t.befell(redisAway, "", 10.05, 13)
			t.befell(killed, "A", 12, 12)
			t.post("B", 15, 15.1, 204)
			t.remove("B", 18)
		}, "", "killed before"},
		"twice, timed out": {func(t *tale) {
			t.timeouts = map[string][]timeout{t.admission.token: {{"A", t.posts[0].begun.Add(t.of("A").delivery)}}}
			t.post("B", 25, 25.1, 204)
			t.remove("B", 28)
		}, "", "held up"},
		"twice, given up too soon": {func(t *tale) {
			t.timeouts = map[string][]timeout{t.admission.token: {{"A", t.posts[0].begun.Add(t.of("A").delivery / 2)}}}
			t.post("B", 25, 25.1, 204)
			t.remove("B", 28)
		}, "nothing explains it", ""},
		"twice, cut": {func(t *tale) { t.posts[0].cut = true; t.post("A", 16, 16.1, 204); t.remove("A", 19) }, "", "cut its 2xx"},
	} {
		t.Run(name, func(t *testing.T) {
			tale := told()
			row.plant(tale)
			found := tale.findings(&tale.chronicle)
			faults := slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return f.explained != "" })
			has := func(text string) bool {
				return slices.ContainsFunc(found, func(f finding) bool {
					return f.explained == "" && strings.Contains(f.fault, text) || f.explained != "" && strings.Contains(f.explained, text)
				})
			}
			if (row.want == "") != (len(faults) == 0) || row.want != "" && !has(row.want) {
				t.Errorf("found %q, want the fault %q", faults, row.want)
			}
			if row.why != "" && !has(row.why) {
				t.Errorf("found %q, want the explanation %q", found, row.why)
			}
		})
	}
}
