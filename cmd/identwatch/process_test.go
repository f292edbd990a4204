package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/config/configtest"
)

// patience is how long a test waits for what should come at once or in seconds.
const patience = time.Minute

// output is a buffer that can be read while it is written.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a command that runs.
type process struct {
	stdout, stderr output
	signal         context.CancelFunc
	exit           chan int
}

// start runs a command line in the background. It is stopped with the test.
func start(t *testing.T, stdin io.Reader, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{signal: cancel, exit: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.exit <- run(ctx, args, stdin, &p.stdout, &p.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("identwatch %s\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), clip(p.stdout.String()), clip(p.stderr.String()))
		}
	})
	return p
}

func clip(text string) string {
	const most = 4000
	return text[max(len(text)-most, 0):]
}

// code waits for the exit code.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.exit:
		return code
	case <-time.After(patience):
		t.Fatal("the command does not end")
		return 0
	}
}

// stop signals the command and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	p.signal()
	return p.code(t)
}

// exec runs a command line to its end.
func exec(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, strings.NewReader(stdin), args...)
	code = p.code(t)
	return code, p.stdout.String(), p.stderr.String()
}

// match waits until the output matches, and returns the first group.
func (o *output) match(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	eventually(t, "output that matches "+pattern, func() bool {
		found = re.FindStringSubmatch(o.String())
		return found != nil
	})
	return found[len(found)-1]
}

// eventually polls real processes, which tell nobody when they are ready.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-deadline:
			t.Fatalf("no %s within %v", what, patience)
		case <-tick.C:
		}
	}
}

// get returns status and body, 0 where there is no answer.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	status, body := get(t, url)
	if err := json.Unmarshal([]byte(body), into); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %v\n%s", url, status, err, clip(body))
	}
}

// key is base64 of n bytes.
func key(n int, fill byte) string { return configtest.Key(n, fill) }

// environmentOf sets these variables and clears all others of identwatch.
func environmentOf(t *testing.T, variables map[string]string) {
	t.Helper()
	configtest.Set(t, variables)
}

// secrets are what serve requires beside Redis.
func secrets() map[string]string { return configtest.Secrets() }
