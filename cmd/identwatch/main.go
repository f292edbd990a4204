// Command identwatch follows MarkSign identification sessions for backend
// applications: it polls each session until it is final, posts the result to the
// application's webhook, and removes the session at MarkSign.
//
// Each command is in the file of its name. main.go, root.go and run.go are what all share: the tree of commands, signals
// and exit codes. progress.go, printer.go, inspect.go and unknown.go help several; version.go says which release
// this is.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/identwatch/identwatch/internal/system"
)

func main() {
	system.HideMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
