// Command cost measures what a session costs: the processor time of a worker and its
// Redis together, beside a bare loop that polls, posts and DELETEs without durability,
// and beside an asynq worker whose handler blocks for as long as its session lasts.
// All get the same sessions, in turns, on one machine.
//
//	go run ./internal/cost -h
//
// Read main.go (flags, turns), table.go (what is printed), sides.go (the three sides and
// what each is given), outside.go (MarkSign, receiver and Redis, which this process is or
// starts), counter.go (commands that a worker sends), usage.go (processor time and
// memory), loop.go (the bare loop and asynq's handler, which run as processes of their own).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// plan is what is measured.
type plan struct {
	sessions, polls, rounds int
	over                    time.Duration // in which the sessions begin, evenly
	tls                     bool
	sides                   []side
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "loop" {
		exit(runLoop(os.Args[2]))
	}
	p, dir, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // a directory of temporary files
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = p.run(ctx, dir)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// pause waits for a time, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func parse(args []string) (p plan, dir string, err error) {
	flags := flag.NewFlagSet("cost", flag.ContinueOnError)
	flags.IntVar(&p.sessions, "sessions", 4000, "sessions of each turn")
	flags.IntVar(&p.polls, "polls", 16, "polls of each session, a second apart")
	flags.IntVar(&p.rounds, "rounds", 3, "turns of each side")
	flags.DurationVar(&p.over, "over", 10*time.Second, "the time in which the sessions begin; 0s is a burst")
	flags.BoolVar(&p.tls, "tls", false, "MarkSign and the receiver speak TLS, and HTTP/2 with whoever wants it")
	names := flags.String("sides", "bare,identwatch,blocked", "what is measured: bare, identwatch, blocked")
	older := flags.String("older", "", "the binary of another version of identwatch, which is measured too")
	if err := flags.Parse(args); err != nil {
		return p, "", err
	}
	if flags.NArg() > 0 || p.sessions < 1 || p.polls < 2 || p.rounds < 1 || p.over < 0 {
		return p, "", errors.New("there must be at least one session and round, two polls, and no other arguments; see -h")
	}
	if dir, err = os.MkdirTemp("", "identwatch-cost-"); err != nil {
		return p, "", err
	}
	p.sides, err = chosen(strings.Split(*names, ","), *older, filepath.Join(dir, "identwatch"))
	return p, dir, err
}

// run builds the binary, gives each side its turns and prints the table.
func (p plan) run(ctx context.Context, dir string) error {
	if err := build(ctx, filepath.Join(dir, "identwatch")); err != nil {
		return err
	}
	var results table
	for round := range p.rounds {
		for _, s := range p.sides {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, p.rounds, s.name)
			turn, err := p.turn(ctx, s, dir)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			results.add(s.name, turn)
		}
	}
	return results.print(os.Stdout, p)
}

func build(ctx context.Context, binary string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/identwatch/identwatch/cmd/identwatch").CombinedOutput() //nolint:gosec // a path of our own
	if err != nil {
		return fmt.Errorf("building identwatch: %w\n%s", err, out)
	}
	return nil
}
