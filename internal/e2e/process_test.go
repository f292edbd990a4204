package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one `identwatch serve`.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string // the file that has its log
	done chan struct{}

	killedAt    time.Time
	postsAtKill int
	defective   bool // it has defects on purpose
}

// prepare makes a process that has an own way to MarkSign and to the receiver, so
// that the test can tell who called. The settings win over those of the harness.
func (w *world) prepare(settings ...string) *process {
	w.t.Helper()
	name := string(rune('A' + len(w.processes)))
	p := &process{t: w.t, name: name, log: filepath.Join(w.t.TempDir(), name+".log"), done: make(chan struct{})}
	p.cmd = exec.Command(binary, "serve")
	p.cmd.Env = append([]string{
		"REDIS_URL=" + w.url,
		"MARKSIGN_URL=" + listen(w.t, w.calls.front(name, w.sim)),
		"MARKSIGN_ACCESS_TOKEN=" + w.secrets.accessToken,
		"CALLBACK_URL=" + listen(w.t, w.receiver.front(name)) + "/callback",
		"CALLBACK_ALLOW_HTTP=true", "CALLBACK_ALLOW_NETWORKS=127.0.0.0/8",
		"WEBHOOK_SECRETS=" + w.secrets.webhook, "WEBHOOK_SIGNING_KEY=" + w.secrets.signing,
		"OUTCOME_KEYS=" + w.secrets.outcome,
		"LISTEN=127.0.0.1:0", "LOG_LEVEL=debug",
	}, settings...)
	w.processes = append(w.processes, p)
	return p
}

// serve starts a process and waits until it is ready.
func (w *world) serve(settings ...string) *process {
	w.t.Helper()
	p := w.prepare(settings...)
	p.start()
	p.awaitReady()
	return p
}

func (p *process) start() {
	p.t.Helper()
	file, err := os.Create(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stderr, p.cmd.Stdout = file, file
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		_ = file.Close()
	}()
	p.t.Cleanup(func() {
		p.kill()
		p.examine()
	})
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// terminate asks the process to stop.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// awaitExit returns the exit code of a process that was asked to stop.
func (p *process) awaitExit(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		p.t.Fatalf("%s has not stopped within %v", p.name, within)
		return -1
	}
}

// entry is a line of the log.
type entry map[string]any

// entries are the lines of the log so far.
func (p *process) entries() []entry {
	p.t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	var list []entry
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e = entry{"msg": lines.Text()} // in the other format, or not the logger's
		}
		list = append(list, e)
	}
	return list
}

// said returns an attribute of the first line with that message, "" where there
// is none yet.
func (p *process) said(msg, attr string) string {
	p.t.Helper()
	for _, e := range p.entries() {
		if e["msg"] == msg {
			return fmt.Sprint(e[attr])
		}
	}
	return ""
}

// awaitListening returns the address of the probes.
func (p *process) awaitListening() string {
	p.t.Helper()
	eventually(p.t, time.Minute, p.name+" says where it listens", func() bool {
		return p.said("identwatch starts", "listen") != ""
	})
	return p.said("identwatch starts", "listen")
}

// probe returns the HTTP status of a probe, 0 where there is no answer.
func (p *process) probe(path string) int {
	res, err := http.Get("http://" + p.awaitListening() + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (p *process) awaitReady() {
	p.t.Helper()
	eventually(p.t, time.Minute, p.name+" is ready", func() bool { return p.probe("/readyz") == http.StatusOK })
}

// holder is the name by which records know the worker.
func (p *process) holder() string {
	p.t.Helper()
	return p.said("following sessions", "worker")
}

// measureNoise probes the process until the function that it returns is called,
// which says how long that took, and a request to the test itself: how slow the
// machine is just now, and the race detector in the test.
func (p *process) measureNoise() (stop func() distribution) {
	p.t.Helper()
	url := "http://" + p.awaitListening() + "/readyz"
	echo := listen(p.t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	quit, result := make(chan struct{}), make(chan distribution, 1)
	go func() {
		var took distribution
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				result <- took
				return
			case <-tick.C:
			}
			begun := time.Now()
			for _, u := range []string{url, echo} {
				if res, err := http.Get(u); err == nil {
					_ = res.Body.Close()
				}
			}
			took = append(took, time.Since(begun))
		}
	}()
	return func() distribution {
		close(quit)
		return <-result
	}
}

// memory returns the resident memory and its peak, in bytes.
func (p *process) memory() (resident, peak int) {
	p.t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		p.t.Skipf("this system does not tell how much memory a process has: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			resident = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return resident, peak
}

// examine fails the test for a defect that the process itself noticed, and shows
// the log's warnings where the test failed anyhow.
func (p *process) examine() {
	shown := 0
	for _, e := range p.entries() {
		msg, _ := e["msg"].(string)
		isDefect := strings.Contains(msg, "a defect in identwatch") && !p.defective
		if isDefect || strings.HasPrefix(msg, "panic: ") || strings.HasPrefix(msg, "fatal error: ") {
			p.t.Errorf("%s: %v", p.name, e)
		}
		if level, _ := e["level"].(string); p.t.Failed() && level != "DEBUG" && msg != "session finished" && shown < 40 {
			p.t.Logf("%s: %v", p.name, e)
			shown++
		}
	}
}
