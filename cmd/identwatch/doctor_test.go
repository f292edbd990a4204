package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/doctor"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/redistest"
)

// examinedJSON runs doctor with --json and returns its report.
func examinedJSON(t *testing.T, wantCode int, args ...string) doctor.Report {
	t.Helper()
	code, stdout, stderr := exec(t, "", append([]string{"doctor", "--json"}, args...)...)
	if code != wantCode || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit %d, want %d; %s%s", code, wantCode, stdout, stderr)
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	var report doctor.Report
	if err := decoder.Decode(&report); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return report
}

// byName are the checks as "name account: status".
func byName(report doctor.Report) string {
	var all []string
	for _, c := range report.Checks {
		all = append(all, strings.TrimSpace(c.Name+" "+c.Account)+": "+string(c.Status))
	}
	return strings.Join(all, ", ")
}

func TestDoctor_FindsARunningServiceWell(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--requirepass", "geheim")
	newWorld(t, strings.Replace(redis.URL(), "redis://", "redis://:geheim@", 1))
	_, base := startServe(t)
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	code, stdout, stderr := exec(t, "", "doctor")
	if code != exitDone || stderr != "" || !strings.HasSuffix(stdout, "\n\n10 ok\n") || !strings.Contains(stdout, "1 worker runs") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	want := "configuration: ok, redis: ok, redis_access: ok, clock: ok, shards: ok, workers: ok, marksign default: ok, callback default: skipped, signature default: ok, api_keys default: ok"
	if report := examinedJSON(t, exitDone, "--no-callback"); byName(report) != want || report.Status != doctor.OK {
		t.Errorf("%s: %+v", report.Status, report.Checks)
	}
}

// TestDoctor_ExaminesEachAccount has one whose MarkSign refuses the token, and
// whose receiver has another secret.
func TestDoctor_ExaminesEachAccount(t *testing.T) {
	redis := redistest.Start(t)
	newWorld(t, redis.URL())
	sim := httptest.NewServer(marksim.New(marksim.Options{AccessToken: "access-token-1"}))
	defer sim.Close()
	variables := map[string]string{
		"ACCOUNTS": "shop,crm", "MARKSIGN_ACCESS_TOKEN": "", "WEBHOOK_SECRETS": "", "MARKSIGN_URL": sim.URL,
		"SHOP_MARKSIGN_ACCESS_TOKEN": "access-token-1", "SHOP_WEBHOOK_SECRETS": "whsec_" + key(32, 1),
		"CRM_MARKSIGN_ACCESS_TOKEN": "geheim", "CRM_WEBHOOK_SECRETS": "whsec_" + key(32, 7), "CRM_WEBHOOK_SIGNING_KEY": "whsk_" + key(32, 6),
		"SHOP_API_KEYS": "sha256:" + strings.Repeat("0a", 32),
	}
	for name, value := range maps.All(variables) {
		t.Setenv(name, value)
	}
	report := examinedJSON(t, exitFailed)
	want := "configuration: ok, redis: warning, redis_access: warning, clock: ok, shards: ok, workers: warning, marksign shop: ok, callback shop: ok, signature shop: ok, api_keys shop: ok, " +
		"marksign crm: failed, callback crm: failed, signature crm: ok, api_keys crm: ok"
	if got := byName(report); got != want || report.Status != doctor.Failed {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	code, stdout, stderr := exec(t, "", "doctor")
	if code != exitFailed || stderr != "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
	for _, shown := range []string{
		"\nok       MarkSign (shop)   ", "\nfailed   MarkSign (crm)    ", ": invalid access token\n", "-> write the access token", "in ", ": HTTP 401\n",
		"2 accounts: shop, crm", "1 key for the HTTP API", "none: the HTTP API is off", "with the secret, and with the public key",
		"\n\n2 failed, 3 warning, 9 ok\n",
	} {
		if !strings.Contains(stdout, shown) {
			t.Errorf("lacks %q:\n%s", shown, stdout)
		}
	}
	for _, secret := range []string{"geheim", "access-token-1", key(32, 7), key(32, 6), key(32, 1), strings.Repeat("0a", 32)} {
		if strings.Contains(stdout, secret) {
			t.Errorf("shows %s:\n%s", secret, stdout)
		}
	}
}

func TestDoctor_ReportsEveryFaultOfTheConfiguration(t *testing.T) {
	environmentOf(t, map[string]string{
		"REDIS_URL": "redis://:geheim@host:port", "MARKSIGN_ACCESS_TOKEN": "two geheim", "WEBHOOK_SECRETS": "geheim",
		"OUTCOME_KEYS": key(32, 2), "LISTEN": "127.0.0.1:0", "CALLBACK_URL": "https://127.0.0.1/?geheim", "LEASE": "1s",
	})
	report := examinedJSON(t, exitUsage)
	if byName(report) != "configuration: failed" || report.Checks[0].Detail != "5 variables are wrong" {
		t.Fatalf("%+v", report)
	}
	code, stdout, stderr := exec(t, "", "doctor")
	if code != exitUsage || stderr != "" || strings.Contains(stdout, "geheim") || !strings.HasSuffix(stdout, "\n\n1 failed\n") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	for _, fault := range report.Checks[0].Faults {
		if !strings.Contains(stdout, "  "+fault.Variable+": "+fault.Problem+"\n") || strings.Contains(fault.Problem, "geheim") {
			t.Errorf("%+v", fault)
		}
	}
}

func TestDoctor_EndsWhenItIsInterrupted(t *testing.T) {
	asked, leave := make(chan bool, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- true
		select {
		case <-r.Context().Done():
		case <-leave:
		}
	}))
	defer server.Close()
	defer close(leave)
	variables := secrets()
	variables["REDIS_URL"], variables["MARKSIGN_URL"] = "redis://127.0.0.1:1", server.URL
	environmentOf(t, variables)
	p := start(t, nil, "doctor")
	<-asked
	if code := p.stop(t); code != exitFailed || p.stdout.String() != "" || p.stderr.String() != "identwatch doctor: interrupted\n" {
		t.Errorf("exit %d, %s%s", code, p.stdout.String(), p.stderr.String())
	}
}

func TestDoctor_FailsWhereTheOutputIsGone(t *testing.T) {
	environmentOf(t, nil)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"doctor"}, strings.NewReader(""), full, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
}
