package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// TestServe_DumpsNoCore has the process start with the right to dump one.
func TestServe_DumpsNoCore(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(sh, "-c", "ulimit -c 1").Run(); err != nil {
		t.Skip("this system lets nobody dump a core")
	}
	p := newWorld(t).prepare()
	p.cmd.Path, p.cmd.Args = sh, []string{"sh", "-c", `ulimit -c 1 && exec "$0" serve`, p.cmd.Path}
	p.start()
	p.awaitReady()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("this system does not show the limits of a process: %v", err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("the process may dump a core:\n%s", limits)
	}
}
