// Package terminal owns what a demonstration shows to somebody at a terminal: a table
// of all sessions that is redrawn in place, with each event above it (live.go,
// table.go, paint.go), or without a terminal a line for each change (plain.go).
// event.go is how an event looks in both. Begin with terminal.go. It changes nothing of what it shows.
package terminal

import (
	"io"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/screen"
)

// Options say where to show a demonstration, and how.
type Options struct {
	Out   io.Writer // gets a table if it is a terminal, and else lines
	Err   io.Writer // gets the service's log
	Full  bool      // long texts of events are shown whole
	Began time.Time // from when times are counted
}

// Terminal shows one demonstration. Say and the log may be written to at any time;
// Follow is called once.
type Terminal struct {
	view view
	out  io.Writer // prints above a table
	log  io.Writer
}

// view shows changes and how all sessions stand after them.
type view interface {
	show(changes []stage.Change, rows []stage.Session)
	close()
}

// New makes a Terminal.
func New(opts Options) *Terminal {
	if !screen.IsTerminal(opts.Out) {
		return &Terminal{view: &plain{out: opts.Out, began: opts.Began, full: opts.Full}, out: opts.Out, log: opts.Err}
	}
	l := newLive(opts.Out, opts.Full)
	t := &Terminal{view: l, out: l.screen, log: opts.Err}
	if screen.IsTerminal(opts.Err) {
		t.log = l.screen
	}
	return t
}

// Say prints a text, which ends with a newline.
func (t *Terminal) Say(text string) { _, _ = io.WriteString(t.out, text) }

// Log is where to write the service's log, so that it does not run into a table.
func (t *Terminal) Log() io.Writer { return t.log }

// showEvery is how often the view is brought up to date.
const showEvery = 100 * time.Millisecond

// Follow shows how a stage stands until the function that it returns is called, which
// shows the last changes.
func (t *Terminal) Follow(s *stage.Stage) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			t.view.show(s.Take(), s.Sessions())
			select {
			case <-quit:
				t.view.show(s.Take(), s.Sessions())
				t.view.close()
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(quit); <-done }
}
