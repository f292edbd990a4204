package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/demo/terminal"
)

// Options say what to show, and where.
type Options struct {
	Sessions int        // to start: 0 to MaxSessions
	Exit     bool       // end when all of them are removed
	Full     bool       // print long texts of events whole
	Out      io.Writer  // shows what happens; as a table if it is a terminal
	Err      io.Writer  // gets the worker's log
	LogLevel slog.Level // of that log
	// Patience is how long Exit waits. Zero: 90 s.
	Patience time.Duration

	// Listen is host:port of the pages, on the loopback address. "": there are none.
	Listen string
	// Elsewhere: if Listen is taken, on another free port.
	Elsewhere bool
}

// MaxSessions is the most that Options.Sessions may be.
const MaxSessions = stage.MaxSessions

const defaultPatience = 90 * time.Second

// Run runs the demonstration until ctx ends, or with Exit until all sessions are
// removed. With Exit it returns an error that names each session that was not
// delivered exactly once, verified, and then removed exactly once.
func Run(ctx context.Context, opts Options) error {
	if opts.Patience == 0 {
		opts.Patience = defaultPatience
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	began := time.Now()
	shown := terminal.New(terminal.Options{Out: opts.Out, Err: opts.Err, Full: opts.Full, Began: began})
	log := slog.New(slog.NewTextHandler(shown.Log(), &slog.HandlerOptions{Level: opts.LogLevel}))
	on, err := stage.Open(ctx, log)
	if err != nil {
		return err
	}
	defer on.Close(ctx)
	page, err := openPage(ctx, on, opts, log)
	if err != nil {
		return err
	}
	defer func() {
		end() // and with it the streams of the page
		page.close(ctx)
	}()
	d := &demo{opts: opts, stage: on, page: page, terminal: shown, began: began}
	d.terminal.Say(d.introduction())
	stopShowing := d.terminal.Follow(d.stage)
	err = d.play(ctx)
	stopShowing()
	if err != nil {
		return err
	}
	return d.conclude(ctx)
}

// demo is one demonstration.
type demo struct {
	opts     Options
	stage    *stage.Stage
	page     *page
	terminal *terminal.Terminal
	began    time.Time
	tokens   []string // of the sessions that it started
}

// play runs the worker while the application starts sessions and their stories
// are told.
func (d *demo) play(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.stage.Run(working) }()

	err := d.startSessions(ctx)
	if err == nil && !d.opts.Exit && ctx.Err() == nil {
		d.terminal.Say(d.invitation())
	}
	if err == nil {
		err = d.await(ctx, ended)
	}
	stop()
	return errors.Join(err, <-ended)
}

func (d *demo) startSessions(ctx context.Context) error {
	for _, p := range stage.Parts(d.opts.Sessions) {
		s, err := d.stage.Start(ctx, p)
		if s.Token != "" {
			d.tokens = append(d.tokens, s.Token)
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // conclude names what is missing
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookEvery is how often Exit looks whether all sessions are removed.
const lookEvery = 100 * time.Millisecond

// await waits for the end: ctx's, with Exit that of the last session or of the
// patience, and the worker's, which is an error.
func (d *demo) await(ctx context.Context, ended chan error) error {
	var patience <-chan time.Time
	if d.opts.Exit {
		patience = time.After(d.opts.Patience)
	}
	tick := time.NewTicker(lookEvery)
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
			if d.opts.Exit && d.stage.Removed(d.tokens) == len(d.tokens) {
				return nil
			}
		}
	}
}

// conclude says how it went. Without Exit there is nothing to hold it against,
// for it may have been stopped at any point.
func (d *demo) conclude(ctx context.Context) error {
	if !d.opts.Exit {
		d.terminal.Say("\nStopped. Nothing of this was kept.\n")
		return nil
	}
	breaches := d.stage.Audit(d.tokens)
	if missing := d.opts.Sessions - len(d.tokens); missing > 0 {
		breaches = append(breaches, fmt.Sprintf("%d sessions were not started", missing))
	}
	if len(breaches) > 0 {
		after := stage.Seconds(time.Since(d.began))
		if ctx.Err() != nil {
			after += ", when it was interrupted"
		}
		return fmt.Errorf("after %s, not as promised:\n  %s", after, strings.Join(breaches, "\n  "))
	}
	d.terminal.Say(fmt.Sprintf("\n%d sessions in %s: each event delivered once, its signature verified, and then the session removed once.\nNothing of this was kept.\n",
		len(d.tokens), stage.Seconds(time.Since(d.began))))
	return nil
}
