package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/rs/zerolog"
)

// binary is the identwatch command, built once, as it is shipped: without the
// race detector.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	logging.Disable()                        // go-redis would write of every Redis that a test kills
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's toxics write to its global logger
	dir, err := os.MkdirTemp("", "identwatch-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "identwatch")
	build := exec.Command("go", "build", "-o", binary, "github.com/identwatch/identwatch/cmd/identwatch")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	// The parallel tests wait for most of their time, for leases to end and for
	// people to confirm, so more of them run at once than there are processors.
	if isDefault("test.parallel") {
		_ = flag.Set("test.parallel", "6")
	}
	return m.Run()
}

func isDefault(name string) bool {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return !given
}

// heavy marks a test that needs the machine for itself: it does not run beside
// others, nor with -short.
func heavy(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long, and most of the machine")
	}
}

// eventually waits until a condition holds, and fails the test where it does not
// in time.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	if !happens(within, holds) {
		t.Fatalf("not within %v: %s", within, what)
	}
}

// happens waits until a condition holds and reports whether it did in time.
func happens(within time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if holds() {
			return true
		}
		select {
		case <-deadline.C:
			return holds()
		case <-look.C:
		}
	}
}

// pass lets real time go by, for tests that show that something does not happen.
func pass(d time.Duration) {
	<-time.After(d)
}
