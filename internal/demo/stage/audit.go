package stage

import (
	"fmt"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

// Audit holds what the receiver and the simulator saw of sessions against what
// identwatch promises, and returns a line for each breach.
func (s *Stage) Audit(tokens []string) (breaches []string) {
	return audit(tokens, s.stack.receiver, s.stack.simulator)
}

// audit holds what the receiver and the simulator saw of sessions against what
// identwatch promises: one event, verified, of the type that the script says,
// acknowledged once; then one removal. It returns a line for each breach.
func audit(tokens []string, r *receiver.Receiver, s *marksim.Simulator) []string {
	events, refused := r.Events()
	byToken := map[string][]receiver.Seen{}
	for _, e := range events {
		byToken[e.Token] = append(byToken[e.Token], e)
	}
	var breaches []string
	for i, token := range tokens {
		snapshot, _ := s.Session(token)
		for _, what := range auditSession(byToken[token], snapshot) {
			breaches = append(breaches, fmt.Sprintf("session %d (%s): %s", i+1, token, what))
		}
	}
	if refused > 0 {
		breaches = append(breaches, fmt.Sprintf("%d requests to the receiver had no right signature, or were no event", refused))
	}
	return breaches
}

func auditSession(events []receiver.Seen, s marksim.Snapshot) (breaches []string) {
	breach := func(broken bool, format string, args ...any) {
		if broken {
			breaches = append(breaches, fmt.Sprintf(format, args...))
		}
	}
	breach(s.Removes == 0, "not removed")
	breach(s.Removes > 1, "removed %d times", s.Removes)
	breach(s.Removes > 0 && s.RemovedAt.IsZero(), "not removed, though it was tried")
	if len(events) != 1 {
		breach(true, "%d events, not one", len(events))
		return breaches
	}
	e := events[0]
	breach(e.Count != 1, "its event was posted %d times", e.Count)
	breach(e.Acked != 1, "its event was acknowledged %d times", e.Acked)
	breach(!s.RemovedAt.IsZero() && (e.AckedAt.IsZero() || s.RemovedAt.Before(e.AckedAt)),
		"removed %s the event was acknowledged", early(e.AckedAt, s.RemovedAt))
	breach(e.Type != scripted(s.Outcome), "the event is %s, and by the script it is %s", e.Type, scripted(s.Outcome))
	return breaches
}

func early(acked, removed time.Time) string {
	if acked.IsZero() {
		return "before"
	}
	return fmt.Sprintf("%v before", acked.Sub(removed))
}

// scripted is the type of the event that a person's script leads to.
func scripted(o marksim.Outcome) webhook.Type {
	switch o {
	case marksim.Confirms:
		return webhook.Completed
	case marksim.Refuses, marksim.WrongCode, marksim.Canceled:
		return webhook.Refused
	case marksim.Expires, marksim.NeverAnswers:
		return webhook.Expired
	default:
		return webhook.Failed
	}
}
