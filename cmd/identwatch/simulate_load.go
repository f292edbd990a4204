package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/identwatch/identwatch/internal/marksim"
)

// loadFlags are about sessions that the simulator starts itself.
type loadFlags struct {
	sessions int
	file     string
	method   string
	confirm  string
}

func (f *loadFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&f.sessions, "sessions", 0, "how many sessions to start by itself")
	flags.StringVar(&f.file, "sessions-file", "", `write their tokens there, one a line; "-" is standard output`)
	flags.StringVar(&f.method, "method", marksim.SmartID, "of these sessions: smart_id or mobile_id")
	flags.StringVar(&f.confirm, "confirm-between", "5s,25s", "`from,to`: when the persons of these sessions confirm")
}

// load are the sessions to start.
type load struct {
	sessions int
	file     string
	method   string
	from, to time.Duration
}

// maxLoad bounds what is started, for each session stays in memory.
const maxLoad = 1_000_000

func (f *loadFlags) parse() (load, error) {
	l := load{sessions: f.sessions, file: f.file, method: f.method}
	switch {
	case l.sessions < 0 || l.sessions > maxLoad:
		return l, usagef("--sessions is %d: write 0 to %d", l.sessions, maxLoad)
	case (l.sessions > 0) != (l.file != ""):
		return l, usagef("--sessions and --sessions-file go together: give both or neither")
	case l.method != marksim.SmartID && l.method != marksim.MobileID:
		return l, usagef("--method is %.40q: write smart_id or mobile_id", l.method)
	}
	var err error
	l.from, l.to, err = parseTwo("confirm-between", f.confirm)
	if err == nil && l.to < l.from {
		err = usagef("--confirm-between is %q: write the earlier time first", f.confirm)
	}
	return l, err
}

// start starts the sessions and writes their tokens, to a file all at once, so
// that who waits for the file finds it whole.
func (l load) start(sim *marksim.Simulator, stdout io.Writer) error {
	if l.sessions == 0 {
		return nil
	}
	tokens := strings.Join(sim.AddMany(l.sessions, l.method, l.from, l.to), "\n") + "\n"
	if l.file == "-" {
		_, err := io.WriteString(stdout, tokens)
		return err
	}
	if err := writeWhole(l.file, tokens); err != nil {
		return fmt.Errorf("writing --sessions-file: %w", err)
	}
	return nil
}

func writeWhole(path, content string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), ".tokens-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // it is gone where all went well
	_, err = draft.WriteString(content)
	if closeErr := draft.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}
