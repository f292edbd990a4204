package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
)

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text := make([]byte, 4096)
	n, _ := res.Body.Read(text)
	return res.StatusCode, string(text[:n])
}

func TestSimulate_StartsByScriptAndTells(t *testing.T) {
	environmentOf(t, map[string]string{"MARKSIGN_ACCESS_TOKEN": "from-the-environment"})
	p := start(t, nil, "simulate", "--listen", "127.0.0.1:0")
	base := p.stdout.match(t, `at (http://\S+): every person in it is invented`)
	start := func(token string) string {
		_, body := post(t, base+"/smartid/login.json", `{"access_token":"`+token+`","code":"20101010001","country":"LT"}`)
		return body
	}
	if body := start("another"); !strings.Contains(body, "40003") {
		t.Errorf("another access token: %s", body)
	}
	if body := start("from-the-environment"); !strings.Contains(body, `"control_code"`) {
		t.Errorf("the access token: %s", body)
	}
	p.stdout.match(t, `start_refused +"-" error 40003`)
	token := p.stdout.match(t, `started +"([^"]+)" ok`)
	var sessions []marksim.Report
	getJSON(t, base+"/simulator/sessions", &sessions)
	if len(sessions) != 1 || sessions[0].Token != token || sessions[0].Outcome != marksim.Confirms {
		t.Errorf("got %+v", sessions)
	}
	if strings.Contains(p.stdout.String(), "20101010001") {
		t.Error("it prints personal codes")
	}
	if code := p.stop(t); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

func TestSimulate_WritesTokensForALoadTest(t *testing.T) {
	environmentOf(t, nil)
	file := filepath.Join(t.TempDir(), "tokens.txt")
	start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--sessions", "50", "--sessions-file", file)
	eventually(t, "file of tokens", func() bool { _, err := os.Stat(file); return err == nil })
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") != 50 {
		t.Errorf("got %d lines, %v", strings.Count(string(text), "\n"), err)
	}
	p := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--sessions", "3", "--sessions-file", "-")
	p.stdout.match(t, `^([A-Z0-9]{26}\n){3}$`)
	p.stderr.match(t, `simulated MarkSign at`)
}

func TestSimulate_HasAnOutage(t *testing.T) {
	environmentOf(t, nil)
	p := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--outage", "0s,300ms")
	base := p.stdout.match(t, `at (http://\S+): `)
	body := `{"code":"20101010001","country":"LT"}`
	eventually(t, "outage", func() bool { status, _ := post(t, base+"/smartid/login.json", body); return status == 0 })
	eventually(t, "end of the outage", func() bool { status, _ := post(t, base+"/smartid/login.json", body); return status == 200 })
}

func TestFaultFlags_MakeThePlan(t *testing.T) {
	t.Parallel()
	flags := faultFlags{faults: marksim.Faults{Latency: time.Second, ServerError: 0.1}, broken: 0.3, outage: "20s, 10s"}
	plan, err := flags.parse()
	if err != nil {
		t.Fatal(err)
	}
	if plan.After != 20*time.Second || plan.Lasts != 10*time.Second {
		t.Errorf("got %+v", plan)
	}
	if always := plan.Always; always.Latency != time.Second || always.ServerError != 0.1 ||
		always.HTML < 0.09 || always.Cut != always.HTML || always.WrongShape != always.HTML {
		t.Errorf("got %+v", plan)
	}
}
