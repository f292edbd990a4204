// Package examples_test runs the receivers against deliveries of the service itself: identwatch as it is shipped, a real
// Redis, a simulated MarkSign, and each receiver and its worker as processes that are killed.
package examples_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
)

// built is the directory of the identwatch command, and of the receiver in Go.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	logging.Disable() // go-redis writes to standard error what it returns anyway
	var err error
	if built, err = os.MkdirTemp("", "identwatch-examples"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(built)
	for name, source := range map[string]string{"identwatch": "../cmd/identwatch", "receiver": "./go"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(built, name), source).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n%s", source, err, out)
			return 1
		}
	}
	return m.Run()
}

// eventually waits until a condition holds, and fails the test where it does not in time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}
