package terminal

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

var began = time.Date(2026, 11, 21, 20, 51, 0, 0, time.UTC)

func at(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }

func someRows() []stage.Session {
	return []stage.Session{
		{
			Number: 1, Person: "ŽYDRŪNĖ IŠGALVOTOJI", Method: "smart_id", Code: "4821", StartedAt: began, Polls: 3,
			Answer: "ok", Outcome: "identified", Posts: 1, PostedAt: at(2.1), RemovedAt: at(4.1),
		},
		{Number: 2, Person: "REFUSED TESTNUMBER", Method: "mobile_id", Code: "1934", StartedAt: began, Polls: 5},
		{Number: 3, Method: "smart_id", StartedAt: at(1), Polls: 2, Outcome: "failed: no_account", Posts: 1, PostedAt: at(3)},
	}
}

func TestTable_ShowsHowEachSessionStands(t *testing.T) {
	t.Parallel()
	got := strings.Join(table{rows: someRows(), now: at(5), columns: 110, lines: 30}.render(), "\n")
	want := `
    #  PERSON               METHOD     CODE  POLLS  OUTCOME             POSTED  REMOVED   TIME
  ✓ 1  ŽYDRŪNĖ IŠGALVOTOJI  Smart-ID   4821      3  identified           2.1 s    4.1 s  4.1 s
  ⠹ 2  REFUSED TESTNUMBER   Mobile-ID  1934      5  waiting                              5.0 s
  ⠸ 3  (started by you)     Smart-ID             2  failed: no_account   2.0 s           4.0 s
    3 sessions: 1 waiting, 1 posted, 1 removed`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTable_FitsTheTerminal(t *testing.T) {
	t.Parallel()
	var rows []stage.Session
	for i := range 40 {
		r := someRows()[i%3]
		r.Number = i + 1
		rows = append(rows, r)
	}
	for _, size := range [][2]int{{200, 60}, {100, 24}, {79, 23}, {60, 12}, {40, 8}, {20, 4}, {10, 2}} {
		lines := table{rows: rows, now: at(5), columns: size[0], lines: size[1]}.render()
		if len(lines) > max(size[1]-1, 3) {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if width(line) > max(size[0], 4) {
				t.Errorf("%v: a line of %d columns: %s", size, width(line), line)
			}
		}
	}
}

func TestTable_LeavesOutWhatIsDoneFirst(t *testing.T) {
	t.Parallel()
	rows := someRows()
	lines := table{rows: rows, now: at(5), columns: 110, lines: 6}.render()
	text := strings.Join(lines, "\n")
	if strings.Contains(text, "ŽYDRŪNĖ") || !strings.Contains(text, "REFUSED") || !strings.Contains(text, "; 1 not shown") {
		t.Errorf("got\n%s", text)
	}
}

func TestEventText_CutsWhatNobodyReads(t *testing.T) {
	t.Parallel()
	d := deliveryOf(fmt.Sprintf(`{"value":"%s","name":"ŽYDRŪNĖ"}`, strings.Repeat("A", 700)))
	if got := eventText(d, false); !strings.Contains(got, `"value": "`+strings.Repeat("A", cutAfter)+`… (700 characters)"`) ||
		!strings.Contains(got, `"name": "ŽYDRŪNĖ"`) || !strings.Contains(got, "webhook-id: evt_?1\n") {
		t.Errorf("got %s", got)
	}
	if got := eventText(d, true); !strings.Contains(got, strings.Repeat("A", 700)) {
		t.Errorf("in full: got %s", got)
	}
	if got := eventText(deliveryOf("\x1b[31m"), true); !strings.Contains(got, "(5 bytes that are no JSON)") || strings.Contains(got, "\x1b") {
		t.Errorf("no JSON: got %q", got)
	}
}

func deliveryOf(body string) receiver.Delivery {
	header := http.Header{}
	header.Set(webhook.HeaderID, "evt_\x1b1")
	return receiver.Delivery{Header: header, Body: []byte(body)}
}
