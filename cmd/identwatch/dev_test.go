package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestDev_TellsThreeStoriesToTheirEnd(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := exec(t, "", "dev", "--sessions", "3", "--exit")
	if code != exitDone || stderr != "" {
		t.Errorf("exit %d, stderr\n%s", code, stderr)
	}
	for _, want := range []string{
		"nothing of it is kept", "All persons are invented", "redis://127.0.0.1:",
		"identification.completed (identified), signature verified, answered 204",
		"identification.refused (refused), signature verified",
		"identification.completed (identified, PEP), signature verified",
		"webhook-signature: v1,", " v1a,", `"name": "ŽYDRŪNĖ"`, "… (704 characters)",
		"3 sessions in ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("standard output lacks %s", want)
		}
	}
	for _, step := range []string{" started  ", " waiting  ", " outcome  ", " posted   ", " removed  "} {
		if got := strings.Count(stdout, step); got != 3 {
			t.Errorf("%d lines of%s, want 3", got, step)
		}
	}
}

func TestDev_StaysUntilItIsStopped(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "dev", "--sessions", "0")
	url := p.stdout.match(t, `curl -s (http://\S+)/smartid/login.json`)
	p.stdout.match(t, `curl -s (http://\S+)/v1/sessions -H 'Authorization: Bearer iwk_`)
	if status, _ := get(t, url+"/"); status != 404 {
		t.Errorf("the simulator answers %d", status)
	}
	if code := p.stop(t); code != exitDone || !strings.Contains(p.stdout.String(), "Nothing of this was kept") {
		t.Errorf("exit %d", code)
	}
}

func TestDev_InterruptedBeforeTheEndIsAFailure(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "dev", "--sessions", "2", "--exit")
	p.stdout.match(t, `#2 +started`)
	if code := p.stop(t); code != exitFailed || !strings.Contains(p.stderr.String(), "session 2 (") {
		t.Errorf("exit %d", code)
	}
}

// dev prints events on purpose; the worker's log that goes with it may not.
func TestDev_KeepsPersonsOutOfTheLog(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := exec(t, "", "dev", "--sessions", "12", "--exit", "--log-level", "debug")
	if code != exitDone || !strings.Contains(stderr, "level=DEBUG") || !strings.Contains(stderr, "session finished") {
		t.Errorf("exit %d, stderr\n%s", code, clip(stderr))
	}
	shown := regexp.MustCompile(`"(?:name|surname|code|full_name)": "([^"]{4,})"`).FindAllStringSubmatch(stdout, -1)
	if len(shown) < 10 {
		t.Fatalf("standard output shows %d texts of persons alone", len(shown))
	}
	for _, text := range shown {
		if strings.Contains(strings.ToUpper(stderr), strings.ToUpper(text[1])) {
			t.Errorf("the log shows %q", text[1])
		}
	}
}

func TestDev_ServesAPageToThisMachineAlone(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "dev", "--sessions", "0", "--listen", "127.0.0.1:0")
	url := p.stdout.match(t, `page to try it on +(http://127.0.0.1:\d+)/`)
	if status, page := get(t, url+"/"); status != 200 || !strings.Contains(page, "Start a session") {
		t.Errorf("got %d, %.200s", status, page)
	}
	taken := strings.TrimPrefix(url, "http://")
	if code, _, stderr := exec(t, "", "dev", "--sessions", "0", "--listen", taken); code != exitFailed || !strings.Contains(stderr, "opening --listen") {
		t.Errorf("with a port that is taken: exit %d, %s", code, stderr)
	}
	for _, open := range []string{"0.0.0.0:0", ":0", "192.168.1.7:0", "[::]:0", "shop.example:80", "127.0.0.1", ""} {
		if code, _, stderr := exec(t, "", "dev", "--sessions", "0", "--listen", open); code != exitUsage || !strings.Contains(stderr, "write a loopback address") {
			t.Errorf("--listen %q: exit %d, %s", open, code, stderr)
		}
	}
}

func TestDev_WithExitServesNoPageUnasked(t *testing.T) {
	t.Parallel()
	if _, stdout, _ := exec(t, "", "dev", "--sessions", "0", "--exit"); strings.Contains(stdout, "page to try it on") {
		t.Errorf("standard output is\n%s", stdout)
	}
	if _, stdout, _ := exec(t, "", "dev", "--sessions", "0", "--exit", "--listen", "localhost:0"); !strings.Contains(stdout, "page to try it on") {
		t.Errorf("standard output is\n%s", stdout)
	}
}
