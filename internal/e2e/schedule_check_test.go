//go:build unix

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// account is all that is known of one session in the end.
type account struct {
	story
	admission
	events  []webhook.Event // one for each post
	state   outcome.State
	removal outcome.Removal
	sealed  time.Duration // for how long the result is kept; negative if it is erased
}

// finding is a promise that an account breaks, or, where it is explained, what a
// promise allows.
type finding struct {
	fault     string
	explained string
}

func broken(format string, args ...any) finding { return finding{fault: fmt.Sprintf(format, args...)} }

// checkSessions holds every session against the promises.
func (s *stage) checkSessions(total *tally) {
	s.timeouts = s.readTimeouts()
	owner := make(map[string]string)
	for _, v := range s.plan.visits {
		a := s.account(v.token)
		found := a.findings(&s.chronicle)
		for _, p := range a.posts {
			if known := owner[p.id]; known != "" && known != v.token {
				found = append(found, broken("its webhook-id is also that of %s", known))
			}
			owner[p.id] = v.token
		}
		var faults []string
		for _, f := range found {
			if f.explained == "" {
				faults = append(faults, f.fault)
			} else {
				total.explain(f.fault + ": " + f.explained)
			}
		}
		if len(faults) > 0 {
			s.t.Errorf("%s: %s\n%s%s", v.token, strings.Join(faults, "\n"), a, s.history(v.token))
		}
	}
}

// readTimeouts reads from the workers' logs which posts timed out.
func (s *stage) readTimeouts() map[string][]timeout {
	all := make(map[string][]timeout)
	for _, p := range s.processes {
		for _, e := range p.entries() {
			msg, _ := e["msg"].(string)
			detail, _ := e["detail"].(string)
			id, _ := e["session"].(string)
			text, _ := e["time"].(string)
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil || !strings.HasPrefix(msg, "posting the event failed") || !strings.HasPrefix(detail, "timed out") {
				continue
			}
			_, token, _ := strings.Cut(id, ":")
			all[token] = append(all[token], timeout{p.name, at})
		}
	}
	return all
}

// String tells all that is known.
func (a account) String() string {
	return fmt.Sprintf("asked %s, accepted %s, lost: %v, forgotten: %v, gone: %v\n%+v\nstate %q, removal %q\n%s%s",
		a.asked.Format(clock), a.accepted.Format(clock), a.lost, a.forgotten, a.gone,
		a.at, a.state, a.removal, tellPosts(a.story), tellCalls(a.story))
}

func (s *stage) account(token string) account {
	a := account{story: s.story(token), admission: s.admission(token)}
	s.mu.Lock()
	a.events = slices.Clone(s.told[token])
	s.mu.Unlock()
	record := s.rdb.HGetAll(s.ctx, recordKey(token)).Val()
	a.state, a.removal = outcome.State(record["state"]), outcome.Removal(record["removal"])
	a.sealed = s.rdb.PTTL(s.ctx, recordKey(token)+":sealed").Val()
	return a
}

// findings holds an account against the promises.
func (a account) findings(c *chronicle) []finding {
	var all []finding
	all = append(all, a.ending(c)...)
	all = append(all, a.keeping(c)...)
	all = append(all, a.oneStory(c)...)
	all = append(all, a.truth(c)...)
	all = append(all, a.overlaps(c)...)
	all = append(all, a.duplicates(c)...)
	return append(all, a.order()...)
}

// ending: the session has come to its end, and MarkSign has removed it.
func (a account) ending(c *chronicle) []finding {
	// A worker may still hold it, and then it tells its story for all that.
	if a.lost {
		return []finding{{"a session that was lost", "Redis lost all of it"}}
	}
	var all []finding
	wanted := outcome.Delivered
	if a.gone {
		wanted = outcome.GivenUp
	}
	if a.state != wanted {
		all = append(all, broken("its record says %q, want %q", a.state, wanted))
	}
	if acks := a.acks(); len(acks) == 0 && wanted == outcome.Delivered {
		all = append(all, broken("no receiver acknowledged it"))
	}
	switch a.removal {
	case outcome.Removed:
		if a.at.RemovedAt.IsZero() {
			all = append(all, broken("its record says removed, and MarkSign has it"))
		}
	case outcome.RemovedUnknown:
		all = append(all, a.unknownRemoval(c))
	default:
		all = append(all, broken("its removal is %q", a.removal))
	}
	return all
}

// keeping: the result of a delivery that was given up is kept, for as long as the
// worker says that gave it up, which may be any.
func (a account) keeping(c *chronicle) []finding {
	if a.state != outcome.GivenUp || c.lost(a.admission.token, time.Time{}, time.Now()) != nil {
		return nil
	}
	least, most := c.releases.least(redeliveryWindow), c.releases.most(redeliveryWindow)
	if a.sealed > most || a.sealed < least-scheduleEnd {
		return []finding{broken("its result is kept for %v, and REDELIVERY_WINDOW was %v to %v", a.sealed, least, most)}
	}
	return nil
}

// scheduleEnd is longer than any schedule takes.
const scheduleEnd = 10 * time.Minute

// unknownRemoval: MarkSign refuses a DELETE whose first one worked, and one of a
// session that it lost.
func (a account) unknownRemoval(c *chronicle) finding {
	const what = "a removal that is not known"
	switch {
	case !a.at.RemovedAt.IsZero() && a.at.Removes > 1:
		return finding{what, "the answer to the first DELETE was lost"}
	case a.forgotten:
		return finding{what, "MarkSign had lost the session"}
	case c.find(markSignIll, "", a.firstPost(), time.Now()) != nil:
		return finding{what, "MarkSign refused it"}
	}
	return broken("its removal is unknown, and nothing explains it")
}

func (a account) firstPost() time.Time {
	if len(a.posts) == 0 {
		return time.Time{}
	}
	return a.posts[0].begun
}

// acks are the places of the posts that a receiver acknowledged.
func (a account) acks() []int {
	var places []int
	for i, p := range a.posts {
		if p.acknowledged() {
			places = append(places, i)
		}
	}
	return places
}

// oneStory: every post has the same id and the same body. Where Redis lost the
// sealed result it is sealed anew, and tells the same but for its time.
func (a account) oneStory(c *chronicle) []finding {
	var all []finding
	for i := 1; i < len(a.posts); i++ {
		before, p := a.posts[i-1], a.posts[i]
		if p.id != before.id {
			all = append(all, broken("posts with different webhook-ids: %s, %s", before.id, p.id))
		}
		if p.body == before.body {
			continue
		}
		switch {
		case c.lost(a.admission.token, c.sentAfter(before, p).Add(-c.releases.most(settings.claim)), p.begun) == nil:
			all = append(all, broken("posts with different bodies, though Redis lost nothing"))
		case gist(a.events[i-1]) != gist(a.events[i]) && a.forgotten && a.tellsNotFound(i-1, i):
			all = append(all, finding{"another story", "Redis lost the outcome, and MarkSign the session"})
		case gist(a.events[i-1]) != gist(a.events[i]):
			all = append(all, broken("posts that tell different stories: %s, %s", gist(a.events[i-1]), gist(a.events[i])))
		default:
			all = append(all, finding{"another body of the same story", "Redis lost the sealed result"})
		}
	}
	return all
}

// tellsNotFound reports whether one of two events says that MarkSign does not
// know the session.
func (a account) tellsNotFound(events ...int) bool {
	return slices.ContainsFunc(events, func(i int) bool {
		e := a.events[i].Data.Error
		return e != nil && e.Reason == "not_found"
	})
}

// gist is what an event says, but for its time.
func gist(e webhook.Event) string {
	said := []any{e.Type, e.Data.Token, e.Data.Reference, e.Data.Method}
	if p := e.Data.Person; p != nil {
		said = append(said, p.Name, p.Surname, p.Code, p.Country)
	}
	for _, c := range []*webhook.Check{e.Data.PEPs, e.Data.Sanctions} {
		if c != nil {
			said = append(said, c.Result, fmt.Sprintf("%s", c.Records))
		}
	}
	if e.Data.Error != nil {
		said = append(said, e.Data.Error.Code, e.Data.Error.Reason)
	}
	return fmt.Sprintln(append(said, string(e.Data.Certificate), string(e.Data.Upstream))...)
}

// order: MarkSign is asked to remove the session only after a receiver's word, and
// two seconds later, for a Redis that loses its last second finds it still there.
// An operator who runs the removal early makes it no earlier.
func (a account) order() []finding {
	var word time.Time // the first that reached the worker, for all that the receiver knows
	for _, p := range a.posts {
		said := p.acknowledged() || p.status == 410
		if said && !p.cut && (word.IsZero() || p.ended.Before(word)) {
			word = p.ended
		}
	}
	for _, c := range a.calls {
		if !c.removal {
			continue
		}
		switch {
		case word.IsZero() || c.at.Before(word):
			return []finding{broken("a DELETE at %s, before any receiver's word", c.at.Format(clock))}
		case c.at.Sub(word) < removalPause:
			return []finding{broken("a DELETE only %v after the receiver's word", c.at.Sub(word))}
		}
		return nil
	}
	return nil
}

// removalPause is between a receiver's word and the DELETE. Records keep
// milliseconds.
const removalPause = 2*time.Second - 5*ms
