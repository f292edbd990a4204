package main

import (
	"net/http"
	"os"
	osexec "os/exec"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/browsertest"
)

// metricsOf returns the text of /metrics.
func metricsOf(t *testing.T, base string) string {
	t.Helper()
	status, body := get(t, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics answers %d", status)
	}
	return body
}

// startDev starts dev with its page on a free port, and returns its base URL.
func startDev(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := start(t, nil, append([]string{"dev", "--listen", "127.0.0.1:0"}, args...)...)
	return p, strings.TrimSuffix(p.stdout.match(t, `page to try it on +(http://\S+)/`), "/")
}

// TestDev_HasASampleOfEveryMetric runs dev, and holds what it tells Prometheus
// against the rules of Prometheus's own tool.
func TestDev_HasASampleOfEveryMetric(t *testing.T) {
	t.Parallel()
	_, base := startDev(t, "--sessions", "3")
	eventually(t, "three sessions to be removed", func() bool {
		return strings.Contains(metricsOf(t, base), `identwatch_removals_total{account="default",result="removed"} 3`)
	})
	eventually(t, "the queues to be measured", func() bool {
		return strings.Contains(metricsOf(t, base), `identwatch_queue_tasks{queue="identwatch-follow",shard="0",state="completed"} 3`)
	})
	text := metricsOf(t, base)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	families := 0
	for line := range strings.Lines(text) {
		name, found := strings.CutPrefix(line, "# TYPE ")
		if !found {
			continue
		}
		families++
		name, _, _ = strings.Cut(name, " ")
		if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") && !strings.Contains(text, "\n"+name+"_bucket{") {
			t.Errorf("%s has no sample", name)
		}
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("README.md does not name the metric %s", name)
		}
	}
	if families == 0 {
		t.Error("there are no metrics")
	}
	for _, sample := range []string{
		`identwatch_polls_total{account="default",answer="identified"} 2`, `identwatch_polls_total{account="default",answer="refused"} 1`,
		`identwatch_deliveries_total{account="default",result="delivered"} 3`, `identwatch_delivery_attempts_total{account="default",result="delivered"} 3`,
		`identwatch_delivery_delay_seconds_count{account="default"} 3`, `identwatch_receiver_circuits{state="closed"} 1`,
		`identwatch_sessions_followed{account="default"} 0`, `identwatch_account_rejected{account="default"} 0`,
		`identwatch_session_final_seconds_count{account="default",outcome="identification.completed"} 2`,
	} {
		if !strings.Contains(text, "\n"+sample+"\n") {
			t.Errorf("/metrics lacks %s", sample)
		}
	}
	checkMetrics(t, text)
}

// checkMetrics has promtool look at what Prometheus would get.
func checkMetrics(t *testing.T, text string) {
	t.Helper()
	promtool, err := osexec.LookPath("promtool")
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal("promtool is not on the PATH, and in CI it is required")
	default:
		t.Skip("promtool is not on the PATH")
	}
	cmd := osexec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestDev_LinksToPagesThatWork follows each link of the desk as a person would.
func TestDev_LinksToPagesThatWork(t *testing.T) {
	t.Parallel()
	b := browsertest.Start(t)
	_, base := startDev(t, "--sessions", "2")
	desk := b.Open(t, base+"/", browsertest.Options{})
	desk.WaitText("header", "Queues")
	links := browsertest.Eval[[]string](desk, `[...document.querySelectorAll("header a")].map(a => a.href)`)
	if len(links) != 3 {
		t.Fatalf("the desk links to %q", links)
	}
	for _, want := range []struct {
		path, text string
		options    browsertest.Options
	}{
		{path: "/monitor/", text: "identwatch-follow"},
		{path: "/docs/", text: "/v1/sessions"},
		// Plain text names no icon, so the browser looks for one, if it gets to that
		// before the test ends.
		{path: "/metrics", text: "identwatch_polls_total", options: browsertest.Options{Expect: []string{"/favicon.ico"}}},
	} {
		b.Open(t, base+want.path, want.options).WaitText("body", want.text)
	}
}
