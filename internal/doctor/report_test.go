package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReport_IsAsItsWorstCheck(t *testing.T) {
	t.Parallel()
	for want, statuses := range map[Status][]Status{OK: {OK, Skipped}, Warning: {OK, Warning, Skipped}, Failed: {Failed, Warning, OK}} {
		var checks []Check
		for _, s := range statuses {
			checks = append(checks, Check{Status: s})
		}
		if got := NewReport("", checks); got.Status != want {
			t.Errorf("%v: %s", statuses, got.Status)
		}
	}
}

func TestReport_ShowsAccountsFaultsAndAdvice(t *testing.T) {
	t.Parallel()
	report := NewReport("v1", []Check{
		{Name: "configuration", Status: Failed, Detail: "2 variables are wrong", Faults: []Fault{{"LEASE", "is short"}, {"LISTEN", "is no address"}}, Advice: "mend <it>"},
		{Name: "marksign", Account: "shop", Status: OK, Detail: "answers", DurationMS: 7},
		{Name: "api_keys", Account: "default", Status: Warning, Detail: "none"},
	})
	var text, line strings.Builder
	if err := errors.Join(report.WriteText(&text), report.WriteJSON(&line)); err != nil {
		t.Fatal(err)
	}
	const wantText = `failed   configuration    2 variables are wrong
                          LEASE: is short
                          LISTEN: is no address
                          -> mend <it>
ok       MarkSign (shop)  answers
warning  API keys         none

1 failed, 1 warning, 1 ok
`
	if text.String() != wantText {
		t.Errorf("got\n%s", text.String())
	}
	const wantLine = `{"status":"failed","version":"v1","checks":[` +
		`{"name":"configuration","status":"failed","detail":"2 variables are wrong","advice":"mend <it>","faults":[{"variable":"LEASE","problem":"is short"},{"variable":"LISTEN","problem":"is no address"}],"duration_ms":0},` +
		`{"name":"marksign","account":"shop","status":"ok","detail":"answers","duration_ms":7},` +
		`{"name":"api_keys","account":"default","status":"warning","detail":"none","duration_ms":0}]}` + "\n"
	if line.String() != wantLine {
		t.Errorf("got %s", line.String())
	}
	if !json.Valid([]byte(line.String())) {
		t.Error("no JSON")
	}
}

func TestBrief_IsShort(t *testing.T) {
	t.Parallel()
	var got []string
	for _, d := range []time.Duration{300 * time.Microsecond, 9900 * time.Microsecond, 87 * time.Millisecond, 1234 * time.Millisecond} {
		got = append(got, brief(d))
	}
	if want := []string{"0.3 ms", "9.9 ms", "87 ms", "1.2 s"}; !slices.Equal(got, want) {
		t.Error(fmt.Sprint(got))
	}
}
