package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/screen"
)

// Options say what to show, and where.
type Options struct {
	Sessions int        // to start
	Exit     bool       // end when all of them are removed
	Full     bool       // print long texts of events whole
	Out      io.Writer  // shows what happens; as a table where it is a terminal
	Err      io.Writer  // gets the worker's log
	LogLevel slog.Level // of that log
	// Patience is how long Exit waits. Zero: 90 s.
	Patience time.Duration

	// Page makes the pages to serve on Listen. Nil: none.
	Page func(*Stage) (http.Handler, error)
	// Listen is host:port.
	Listen string
	// Elsewhere: where Listen is taken, on another free port.
	Elsewhere bool
}

const defaultPatience = 90 * time.Second

// Run runs the demonstration until ctx ends, or with Exit until all sessions are
// removed. With Exit it returns an error that names each session that was not
// delivered exactly once, verified, and then removed exactly once.
func Run(ctx context.Context, opts Options) error {
	d := newDemo(opts)
	ctx, end := context.WithCancel(ctx)
	defer end()
	log := slog.New(slog.NewTextHandler(d.logTo, &slog.HandlerOptions{Level: opts.LogLevel}))
	stack, err := openStack(ctx, d.board, log)
	d.stack = stack
	defer stack.close(ctx)
	if err != nil {
		return err
	}
	d.stage = newStage(ctx, stack, d.board)
	d.page, err = d.openPage(ctx, log)
	if err != nil {
		return err
	}
	defer func() {
		end() // and with it the streams of the page
		d.page.close(ctx)
	}()
	if d.page != nil {
		d.stack.shut.Listen(d.page.server.Addr())
	}
	d.say(d.introduction(d.page))
	stopShowing := d.startShowing()
	err = d.play(ctx)
	stopShowing()
	if err != nil {
		return err
	}
	return d.conclude(ctx)
}

// demo is one demonstration.
type demo struct {
	opts   Options
	board  *board
	stack  *stack
	stage  *Stage
	page   *page
	view   view
	out    io.Writer // prints above a table
	logTo  io.Writer
	began  time.Time
	tokens []string // of the sessions that it started
}

// view shows changes and how all sessions stand after them.
type view interface {
	show(changes []Change, rows []Session)
	close()
}

func newDemo(opts Options) *demo {
	if opts.Patience == 0 {
		opts.Patience = defaultPatience
	}
	d := &demo{opts: opts, board: newBoard(), out: opts.Out, logTo: opts.Err, began: time.Now()}
	if !screen.IsTerminal(opts.Out) {
		d.view = &plain{out: opts.Out, began: d.began, full: opts.Full}
		return d
	}
	l := newLive(opts.Out, opts.Full)
	d.view, d.out = l, l.screen
	if screen.IsTerminal(opts.Err) {
		d.logTo = l.screen
	}
	return d
}

func (d *demo) say(text string) { _, _ = io.WriteString(d.out, text) }

// showEvery is how often the view is brought up to date.
const showEvery = 100 * time.Millisecond

// startShowing keeps the view up to date until the function that it returns is
// called, which shows the last changes.
func (d *demo) startShowing() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			d.view.show(d.board.take(), d.board.all())
			select {
			case <-quit:
				d.view.show(d.board.take(), d.board.all())
				d.view.close()
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(quit); <-done }
}

// play runs the worker while the application starts sessions and their stories
// are told.
func (d *demo) play(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.stack.run(working) }()
	go d.stage.followPlans(working)

	err := d.startSessions(ctx)
	if err == nil && !d.opts.Exit {
		d.say(d.invitation(d.page))
	}
	if err == nil {
		err = d.await(ctx, ended)
	}
	stop()
	return errors.Join(err, <-ended)
}

func (d *demo) startSessions(ctx context.Context) error {
	for _, p := range parts(d.opts.Sessions) {
		s, err := d.stage.Start(ctx, p)
		if err != nil {
			return err
		}
		d.tokens = append(d.tokens, s.Token)
	}
	return nil
}

// await waits for the end: ctx's, with Exit that of the last session or of the
// patience, and the worker's, which is an error.
func (d *demo) await(ctx context.Context, ended chan error) error {
	var patience <-chan time.Time
	if d.opts.Exit {
		patience = time.After(d.opts.Patience)
	}
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- nil
			return fmt.Errorf("the worker ended by itself: %w", err)
		case <-patience:
			return nil // conclude names what is missing
		case <-tick.C:
			if d.opts.Exit && d.board.removed(d.tokens) == len(d.tokens) {
				return nil
			}
		}
	}
}

// conclude says how it went. Without Exit there is nothing to hold it against,
// for it may have been stopped at any point.
func (d *demo) conclude(ctx context.Context) error {
	if !d.opts.Exit {
		d.say("\nStopped. Nothing of this was kept.\n")
		return nil
	}
	if breaches := audit(d.tokens, d.stack.receiver, d.stack.simulator); len(breaches) > 0 {
		after := seconds(time.Since(d.began))
		if ctx.Err() != nil {
			after += ", when it was interrupted"
		}
		return fmt.Errorf("after %s, not as promised:\n  %s", after, strings.Join(breaches, "\n  "))
	}
	d.say(fmt.Sprintf("\n%d sessions in %s: each event delivered once, its signature verified, and then the session removed once.\nNothing of this was kept.\n",
		len(d.tokens), seconds(time.Since(d.began))))
	return nil
}
