package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
)

// The exit codes, the same for every command.
const (
	exitDone   = 0
	exitFailed = 1 // at run time
	exitUsage  = 2 // wrong usage or configuration
)

// errReported ends a command with exitFailed when all there is to say was said.
var errReported = errors.New("failed, as reported")

// errReportedUsage ends a command with exitUsage likewise.
var errReportedUsage = errors.New("wrong, as reported")

// usageError is a fault of the flags or arguments that cobra cannot see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// run executes one command line and returns the exit code. When ctx ends the
// command stops gracefully.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	logging.Disable() // go-redis would write to the process's stderr; what it returns is reported
	// net/http quotes there what a server sent after its answer, which may be an event.
	log.SetOutput(io.Discard)
	root := newRoot() //nolint:contextcheck // cobra hands ctx to the command that it runs
	running := false
	root.PersistentPreRun = func(*cobra.Command, []string) { running = true }
	root.SetArgs(append([]string{}, args...))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !running {
		err = usageError{err} // cobra did not get as far as the command
	}
	return report(stderr, cmd.CommandPath(), err)
}

// report says what went wrong and returns the exit code.
func report(stderr io.Writer, command string, err error) int {
	faults, isConfig := errors.AsType[*config.Faults](err)
	_, isUsage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReportedUsage):
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	case isConfig:
		list := strings.ReplaceAll(faults.Error(), "\n", "\n  ")
		_, _ = fmt.Fprintf(stderr, "%s: the environment is wrong:\n  %s\n%sRun '%s --help' for all variables.\n", command, list, unknownLines(), command)
		return exitUsage
	case isUsage:
		_, _ = fmt.Fprintf(stderr, "%s: %s\nRun '%s --help' for usage.\n", command, strings.TrimSpace(err.Error()), command)
		return exitUsage
	default:
		_, _ = fmt.Fprintf(stderr, "%s: %v\n", command, err)
		return exitFailed
	}
}
