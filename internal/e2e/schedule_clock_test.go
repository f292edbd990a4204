//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clockVariable says by how many milliseconds the clock of a process is fast that
// was built with movedClock.
const clockVariable = "IDENTWATCH_TEST_CLOCK_MS"

// movedNow is put into the standard library's time package. It moves the clock on
// the wall; the monotonic one, which measures durations, is left alone.
const movedNow = `
var movedClock = readMovedClock()

func readMovedClock() int64 {
	text, _ := syscall.Getenv("` + clockVariable + `")
	negative := len(text) > 0 && text[0] == '-'
	var ms int64
	for _, c := range text {
		if '0' <= c && c <= '9' {
			ms = ms*10 + int64(c-'0')
		}
	}
	if negative {
		ms = -ms
	}
	return ms * 1e6
}

func Now() Time {
	t := trueNow()
	if movedClock == 0 {
		return t
	}
	wall := t.Add(Duration(movedClock))
	if t.wall&hasMonotonic != 0 && wall.wall&hasMonotonic != 0 {
		wall.ext = t.ext
	}
	return wall
}
`

// buildMoved builds the command with a clock that can be moved. It takes a while
// the first time, for the whole standard library depends on its clock.
var buildMoved = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), "identwatch-e2e-clock") // always the same, for Go's build cache
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const before, imports = "func Now() Time {", "import (\n"
	if !strings.Contains(string(text), before) || !strings.Contains(string(text), imports) {
		return "", fmt.Errorf("%s is not as it was when this was written", source)
	}
	moved := strings.Replace(string(text), before, "func trueNow() Time {", 1)
	moved = strings.Replace(moved, imports, imports+"\t\"syscall\"\n", 1) + movedNow
	replaced, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(replaced, []byte(moved), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {source: replaced}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	path := binary + "-moved"
	build := exec.Command("go", "build", "-overlay", overlay, "-o", path, "github.com/identwatch/identwatch/cmd/identwatch")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// runWithClock makes a process that is not started yet run with a clock that is
// fast, or slow.
func (p *process) runWithClock(by time.Duration) {
	p.t.Helper()
	path, err := buildMoved()
	if err != nil {
		p.t.Fatalf("building the command with a clock that can be moved: %v", err)
	}
	p.cmd.Path, p.cmd.Args[0] = path, path
	p.cmd.Env = append(p.cmd.Env, fmt.Sprintf("%s=%d", clockVariable, by.Milliseconds()))
}

func TestMovedClock_MovesTheWallAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const fast = 90 * time.Minute
	p := w.prepare()
	p.runWithClock(fast)
	p.start()
	p.awaitReady()
	at, err := time.Parse(time.RFC3339Nano, p.said("following sessions", "time"))
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Until(at) - fast; off > 0 || off < -20*time.Second {
		t.Errorf("the clock of the process is off by %v, want %v", time.Until(at), fast)
	}
	token := w.begin("moved", 1, confirms(time.Second, time.Second))
	w.enqueueHere(token...)
	eventually(t, time.Minute, "it polls at its pace", func() bool { return w.calls.polls("", token[0]) >= 2 })
}
