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

func (p *plain) show(changes []Change, _ []Session) {
	for _, c := range changes {
		_, _ = io.WriteString(p.out, p.line(c))
		if c.Step == Posted || c.Step == Refused {
			_, _ = io.WriteString(p.out, indent(eventText(c.Delivery, p.full)))
		}
	}
}

func (p *plain) close() {}

func (p *plain) line(c Change) string {
	number := fmt.Sprintf("#%d", c.Session.Number)
	if c.Step == Refused {
		number = "" // of no session
	}
	what, detail := c.Describe()
	if c.Step == Posted || c.Step == Refused {
		detail += ":"
	}
	return fmt.Sprintf("%8s  %-4s %-8s %s\n", seconds(c.At.Sub(p.began)), number, what, detail)
}

// seconds is a duration with one decimal.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func indent(text string) string {
	const by = "          "
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}
