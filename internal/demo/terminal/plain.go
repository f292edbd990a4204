package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
)

// plain shows one line for each change, for output that is no terminal.
type plain struct {
	out   io.Writer
	began time.Time
	full  bool
}

func (p *plain) show(changes []stage.Change, _ []stage.Session) {
	for _, c := range changes {
		_, _ = io.WriteString(p.out, p.line(c))
		if c.Step == stage.Posted || c.Step == stage.Refused {
			_, _ = io.WriteString(p.out, indent(eventText(c.Delivery, p.full)))
		}
	}
}

func (p *plain) close() {}

func (p *plain) line(c stage.Change) string {
	number := fmt.Sprintf("#%d", c.Session.Number)
	if c.Step == stage.Refused {
		number = "" // of no session
	}
	what, detail := c.Describe()
	if c.Step == stage.Posted || c.Step == stage.Refused {
		detail += ":"
	}
	return fmt.Sprintf("%8s  %-4s %-8s %s\n", stage.Seconds(c.At.Sub(p.began)), number, what, detail)
}

func indent(text string) string {
	const by = "          "
	return by + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+by) + "\n"
}
