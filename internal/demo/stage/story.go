package stage

import (
	"fmt"
	"time"
)

// Describe is a change in a word and a few more.
func (c Change) Describe() (what, detail string) {
	s := c.Session
	switch c.Step {
	case Started:
		return "started", fmt.Sprintf("%s by %s, control code %s, token %s: %s", s.Person, s.MethodName(), s.Code, s.Token, s.Note)
	case Waiting:
		return "waiting", "for the person; polled each second at first"
	case Troubled:
		return "trouble", fmt.Sprintf("at MarkSign: poll %d met %s", s.Polls, s.LastAnswer)
	case Recovered:
		return "well", fmt.Sprintf("MarkSign answered poll %d again", s.Polls)
	case Decided:
		return "decided", fmt.Sprintf("%s %s", s.Person, decisions[s.Decided].told)
	case Final:
		return "outcome", fmt.Sprintf("MarkSign answered %s to poll %d", s.Answer, s.Polls)
	case Posted:
		return "posted", fmt.Sprintf("%s (%s), signature %s, %s", c.Delivery.Event.Type, s.Outcome, c.Delivery.Verdict(), c.Delivery.Answered())
	case Planned:
		return c.describePlan()
	case RemovalFailed:
		return "trouble", fmt.Sprintf("at MarkSign: DELETE %d met %s", s.Removals, s.LastRemoval)
	case Removed:
		return "removed", fmt.Sprintf("at MarkSign, %s after the event", Seconds(s.RemovedAt.Sub(s.PostedAt)))
	default:
		return "refused", fmt.Sprintf("a request to the receiver: signature %s, %s", c.Delivery.Verdict(), c.Delivery.Answered())
	}
}

func (c Change) describePlan() (what, detail string) {
	if c.Session.GivenUp {
		return "given up", "the event is posted no more: " + c.Session.LastError
	}
	in := c.Session.NextAttempt.Sub(c.At).Round(time.Second)
	return "planned", fmt.Sprintf("the event is posted again in %v: %s", in, c.Session.LastError)
}

// Seconds is a duration with one decimal, as all of the demonstration shows them.
func Seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
