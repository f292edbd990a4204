package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/identwatch/identwatch/internal/screen"
)

// progress writes of refused tokens, and on a terminal also of the others.
type progress struct {
	out    io.Writer
	screen *screen.Screen // nil where it is no terminal
}

// newProgress shows no live count to somebody who types the tokens.
func newProgress(out io.Writer, in io.Reader) *progress {
	p := &progress{out: out}
	f, isFile := in.(*os.File)
	typed := isFile && term.IsTerminal(int(f.Fd()))
	if screen.IsTerminal(out) && !typed {
		p.screen = screen.New(out)
		p.out = p.screen
	}
	return p
}

// maxShown is how much of a refused token is shown, in bytes.
const maxShown = 60

// refused tells of a token, which came on that line where it is above zero.
func (p *progress) refused(token string, line int, why error) {
	where := ""
	if line > 0 {
		where = "line " + strconv.Itoa(line) + ": "
	}
	shown := strconv.Quote(token[:min(len(token), maxShown)])
	if len(token) > maxShown {
		shown += "..."
	}
	_, _ = fmt.Fprintf(p.out, "%s%s: %s\n", where, shown, strings.TrimPrefix(why.Error(), "invalid session: "))
}

// start shows the count, as text says it, until the function that it returns is
// called.
func (p *progress) start(text func() string) (stop func()) {
	if p.screen == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				p.screen.Draw(nil)
				p.screen.Close()
				return
			case <-tick.C:
				p.screen.Draw([]string{text() + " …"})
			}
		}
	}()
	return func() { close(quit); <-done }
}
