package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/screen"
)

// live shows a table that is redrawn in place, and the events above it.
type live struct {
	terminal io.Writer
	screen   *screen.Screen
	paint    paint
	full     bool
	frame    int
}

func newLive(terminal io.Writer, full bool) *live {
	return &live{
		terminal: terminal, screen: screen.New(terminal), full: full,
		paint: paint(screen.WantsColours()),
	}
}

func (l *live) show(changes []stage.Change, rows []stage.Session) {
	columns, lines := screen.Size(l.terminal)
	for _, c := range changes {
		if c.Step == stage.Posted || c.Step == stage.Refused {
			_, _ = io.WriteString(l.screen, l.event(c, columns))
		}
	}
	l.frame++
	t := table{rows: rows, now: time.Now(), frame: l.frame, columns: columns - 1, lines: lines - 1, paint: l.paint}
	l.screen.Draw(t.render())
}

func (l *live) close() { l.screen.Close() }

// event is a request under a rule that says what it is.
func (l *live) event(c stage.Change, columns int) string {
	colour, title := green, fmt.Sprintf("#%d  %s", c.Session.Number, c.Delivery.Event.Type)
	if c.Step == stage.Refused {
		colour, title = red, "a request that was refused"
	}
	title = fmt.Sprintf("── %s ── signature %s ── %s ", title, c.Delivery.Verdict(), c.Delivery.Answered())
	title += strings.Repeat("─", max(columns-1-width(title), 0))
	return "\n" + l.paint.in(colour, title) + "\n" + eventText(c.Delivery, l.full)
}
