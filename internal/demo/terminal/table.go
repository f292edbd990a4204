package terminal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/identwatch/identwatch/internal/demo/stage"
)

// table is how all sessions stand, one line each, within a terminal's size.
type table struct {
	rows           []stage.Session
	now            time.Time
	frame          int // of the little wheel that turns
	columns, lines int
	paint          paint
}

// column is one of the table's. Its width is that of its longest text, within
// bounds.
type column struct {
	head  string
	right bool
	least int // the width that it may be cut to; 0 is not at all
	spare int // columns of the terminal under which it is left out; 0 is never
	text  func(t table, r stage.Session) string
}

var layout = []column{
	{head: "#", right: true, text: func(_ table, r stage.Session) string { return strconv.Itoa(r.Number) }},
	{head: "PERSON", least: 14, text: func(_ table, r stage.Session) string { return whose(r) }},
	{head: "METHOD", spare: 70, text: func(_ table, r stage.Session) string { return r.MethodName() }},
	{head: "CODE", spare: 84, right: true, text: func(_ table, r stage.Session) string { return r.Code }},
	{head: "POLLS", right: true, text: func(_ table, r stage.Session) string { return strconv.Itoa(r.Polls) }},
	{head: "OUTCOME", least: 12, text: func(_ table, r stage.Session) string { return outcomeText(r) }},
	{head: "POSTED", right: true, text: func(_ table, r stage.Session) string { return since(r.PostedAt, r.StartedAt) }},
	{head: "REMOVED", right: true, text: func(_ table, r stage.Session) string { return since(r.RemovedAt, r.StartedAt) }},
	{head: "TIME", spare: 90, right: true, text: func(t table, r stage.Session) string { return since(endedOr(r, t.now), r.StartedAt) }},
}

// gap is between two columns.
const gap = "  "

// render returns the lines, none longer than the terminal is wide, and no more
// than it is high.
func (t table) render() []string {
	columns := slices.DeleteFunc(slices.Clone(layout), func(c column) bool { return t.columns < c.spare })
	widths := t.widths(columns)
	shown, hidden := t.fit()
	lines := []string{"", t.paint.in(bold, "    "+t.line(columns, widths, func(c column) string { return c.head }))}
	for _, r := range shown {
		text := t.line(columns, widths, func(c column) string { return c.text(t, r) })
		lines = append(lines, "  "+t.mark(r)+" "+t.paint.in(t.colour(r), text))
	}
	return append(lines, t.paint.in(dim, "    "+clip(t.footer(hidden), t.columns-4)))
}

func (t table) line(columns []column, widths []int, text func(column) string) string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = pad(clip(text(c), widths[i]), widths[i], c.right)
	}
	return clip(strings.TrimRight(strings.Join(cells, gap), " "), t.columns-4)
}

// widths are as wide as the texts need, and then narrower where the terminal is.
func (t table) widths(columns []column) []int {
	widths := make([]int, len(columns))
	total := 4 + len(gap)*(len(columns)-1)
	for i, c := range columns {
		widths[i] = width(c.head)
		for _, r := range t.rows {
			widths[i] = max(widths[i], width(c.text(t, r)))
		}
		total += widths[i]
	}
	for i, c := range columns {
		if c.least > 0 && total > t.columns {
			narrower := max(widths[i]-(total-t.columns), min(c.least, widths[i]))
			total -= widths[i] - narrower
			widths[i] = narrower
		}
	}
	return widths
}

// fit returns the rows that there is room for: where it is for some only, those
// that are under way, and then the latest.
func (t table) fit() (shown []stage.Session, hidden int) {
	const around = 4 // the blank line, the head, the foot, and the cursor's line
	room := max(t.lines-around, 0)
	if len(t.rows) <= room {
		return t.rows, 0
	}
	ranked := slices.Clone(t.rows)
	slices.SortStableFunc(ranked, func(a, b stage.Session) int {
		if a.Done() != b.Done() {
			return map[bool]int{false: -1, true: 1}[a.Done()]
		}
		return b.Number - a.Number
	})
	shown = ranked[:room]
	slices.SortFunc(shown, func(a, b stage.Session) int { return a.Number - b.Number })
	return shown, len(t.rows) - room
}

func (t table) footer(hidden int) string {
	waiting, removed := 0, 0
	for _, r := range t.rows {
		switch {
		case r.Done():
			removed++
		case r.Posts == 0:
			waiting++
		}
	}
	text := fmt.Sprintf("%d sessions: %d waiting, %d posted, %d removed",
		len(t.rows), waiting, len(t.rows)-waiting-removed, removed)
	if hidden > 0 {
		text += fmt.Sprintf("; %d not shown", hidden)
	}
	return text
}

var wheel = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (t table) mark(r stage.Session) string {
	if r.Done() {
		return t.paint.in(green, "✓")
	}
	return t.paint.in(yellow, wheel[(t.frame+r.Number)%len(wheel)])
}

func (t table) colour(r stage.Session) colour {
	if r.Done() {
		return dim
	}
	return noColour
}

func whose(r stage.Session) string {
	if r.Person == "" {
		return "(started by you)"
	}
	return r.Person
}

func outcomeText(r stage.Session) string {
	switch {
	case r.Outcome != "":
		return r.Outcome
	case r.Answer != "":
		return r.Answer
	}
	return "waiting"
}

// endedOr is when a session ended, or now if it did not yet.
func endedOr(r stage.Session, now time.Time) time.Time {
	if r.Done() {
		return r.RemovedAt
	}
	return now
}

func since(at, start time.Time) string {
	if at.IsZero() {
		return ""
	}
	return stage.Seconds(at.Sub(start))
}

// width is how many columns a text takes: all that is shown here has one for
// each letter.
func width(text string) int { return utf8.RuneCountInString(text) }

func clip(text string, most int) string {
	if width(text) <= most {
		return text
	}
	return string([]rune(text)[:max(most-1, 0)]) + "…"
}

func pad(text string, wide int, right bool) string {
	space := strings.Repeat(" ", max(wide-width(text), 0))
	if right {
		return space + text
	}
	return text + space
}
