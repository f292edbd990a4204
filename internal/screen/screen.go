// Package screen writes to a terminal that shows a live region at its foot: what
// is printed scrolls by above it, and the region is redrawn in place. It knows
// nothing of what it shows, and uses plain ANSI sequences.
package screen

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"
)

// The sequences that it writes.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	eraseBelow = "\x1b[J"
)

// Screen is a terminal with a live region. It is safe for concurrent use.
type Screen struct {
	out io.Writer

	mu     sync.Mutex
	live   []string
	drawn  int // lines of the live region that are on the terminal
	closed bool
}

// New makes a Screen on a terminal. Close gives the terminal back.
func New(out io.Writer) *Screen {
	return &Screen{out: out}
}

// Write prints above the live region, and after Close below where it was. What
// it is given ends with a newline, and is shown at once.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return s.out.Write(text)
	}
	if err := s.redraw(string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Draw replaces the live region. No line may be longer than the terminal is
// wide, nor the lines more than it is high.
func (s *Screen) Draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = lines
	_ = s.redraw("") // a terminal that is gone shows in Write
}

// Close leaves the live region as it stands and the cursor below it. Draw must
// not be called afterwards.
func (s *Screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_, _ = io.WriteString(s.out, showCursor)
}

// redraw writes all in one piece, so that nothing flickers. s is locked.
func (s *Screen) redraw(above string) error {
	var b strings.Builder
	b.WriteString(hideCursor + "\r")
	if s.drawn > 0 {
		b.WriteString("\x1b[" + strconv.Itoa(s.drawn) + "A")
	}
	b.WriteString(eraseBelow)
	b.WriteString(above)
	for _, line := range s.live {
		b.WriteString(line + "\n")
	}
	s.drawn = len(s.live)
	_, err := io.WriteString(s.out, b.String())
	return err
}

// IsTerminal reports whether w is a terminal that understands sequences.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// WantsColours reports whether texts may be coloured: NO_COLOR, of the environment,
// asks for none.
func WantsColours() bool { return os.Getenv("NO_COLOR") == "" }

// Size is how many columns and lines a terminal has; 100 by 30 where it does not say.
func Size(w io.Writer) (columns, lines int) {
	if f, ok := w.(*os.File); ok {
		columns, lines, err := term.GetSize(int(f.Fd()))
		if err == nil && columns > 0 && lines > 0 {
			return columns, lines
		}
	}
	return 100, 30
}
