package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// limitFiles lets the process have so many files and connections open.
func (p *process) limitFiles(n int) {
	p.t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Path, p.cmd.Args = sh, []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" serve`, n), p.cmd.Path}
}

// files returns how many files and connections the process has open.
func (p *process) files() int {
	p.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("this system does not show what a process has open: %v", err)
	}
	return len(list)
}

// TestServe_IdleConnectionsTakeNoFilesFromPollsAndPosts leaves more connections
// open than the process may have files.
func TestServe_IdleConnectionsTakeNoFilesFromPollsAndPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.prepare("MONITOR_PASSWORD=4f1c-9d27-b3e8-60a5")
	p.limitFiles(256)
	p.start()
	p.awaitReady()
	addr := p.awaitListening()
	for i := range 400 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if path := []string{"", "/metrics", "/monitor/", "/v1/sessions"}[i%4]; path != "" {
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: identwatch\r\n\r\n", path)
		}
	}
	if n := p.files(); n > 128 {
		t.Errorf("%d of 256 files are open before there is work", n)
	}
	if got := p.probe("/healthz"); got != http.StatusOK {
		t.Errorf("healthz: %d", got)
	}
	tokens := w.begin("idle", 20, confirms(0, time.Second))
	w.enqueueHere(tokens...)
	w.awaitRemoved(tokens, time.Minute)
}
