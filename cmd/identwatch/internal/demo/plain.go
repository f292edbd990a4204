package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// plain shows one line for each change, for output that is no terminal.
type plain struct {
	out   io.Writer
	began time.Time
	full  bool
}

func (p *plain) show(changes []change, _ []row) {
	for _, c := range changes {
		_, _ = io.WriteString(p.out, p.line(c))
		if c.step == stepPosted || c.step == stepRefused {
			_, _ = io.WriteString(p.out, indent(eventText(c.delivery, p.full)))
		}
	}
}

func (p *plain) close() {}

func (p *plain) line(c change) string {
	number := fmt.Sprintf("#%d", c.row.number)
	if c.step == stepRefused {
		number = "" // of no session
	}
	what, detail := describe(c)
	return fmt.Sprintf("%8s  %-4s %-8s %s\n", seconds(c.at.Sub(p.began)), number, what, detail)
}

// describe is a change in a word and a few more.
func describe(c change) (what, detail string) {
	r := c.row
	switch c.step {
	case stepStarted:
		return "started", fmt.Sprintf("%s by %s, control code %s, token %s: %s", r.person, methodNames[r.method], r.code, r.token, r.note)
	case stepWaiting:
		return "waiting", "for the person; polled each second at first"
	case stepFinal:
		return "outcome", fmt.Sprintf("MarkSign answered %s to poll %d", r.answer, r.polls)
	case stepPosted:
		return "posted", fmt.Sprintf("%s (%s), signature %s, answered %d:",
			c.delivery.Event.Type, r.outcome, c.delivery.Verdict(), c.delivery.Status)
	case stepRemoved:
		return "removed", fmt.Sprintf("at MarkSign, %s after the event", seconds(r.removedAt.Sub(r.postedAt)))
	default:
		return "refused", fmt.Sprintf("a request to the receiver: signature %s, answered %d:", c.delivery.Verdict(), c.delivery.Status)
	}
}

// seconds is a duration with one decimal.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func indent(text string) string {
	const by = "          "
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}
