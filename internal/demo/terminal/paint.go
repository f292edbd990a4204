package terminal

// colour is an ANSI attribute.
type colour string

const (
	noColour colour = ""
	bold     colour = "1"
	dim      colour = "2"
	red      colour = "31"
	green    colour = "32"
	yellow   colour = "33"
)

// paint says whether texts get their colours.
type paint bool

func (p paint) in(c colour, text string) string {
	if !bool(p) || c == noColour {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
