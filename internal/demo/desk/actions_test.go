package desk

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/demo/stage"
)

// request is sent to the desk, and its answer read.
func request(t *testing.T, f *fixture, method, path, body string, header map[string]string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, read, res.Header
}

var asJSON = map[string]string{"Content-Type": "application/json"}

// post makes an action that is to be done.
func post(t *testing.T, f *fixture, path, body string) []byte {
	t.Helper()
	status, answer, _ := request(t, f, http.MethodPost, path, body, asJSON)
	if status/100 != 2 {
		t.Fatalf("POST %s: %d %s", path, status, answer)
	}
	return answer
}

const anOrder = `{"person":"20101010001","method":"mobile_id","checks":false,"waits":true}`

func TestActions_RefuseWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	f := run(t, 0, Options{})
	var session stage.Session
	if err := json.Unmarshal(post(t, f, "/desk/sessions", anOrder), &session); err != nil {
		t.Fatal(err)
	}
	own := "/desk/sessions/" + session.Token
	for _, test := range []struct {
		path, body string
		status     int
		fields     string // named as invalid
	}{
		{"/desk/sessions", `{"person":"1","method":"fax"}`, 422, "person method"},
		{"/desk/sessions", `{}`, 422, "person method"},
		{"/desk/sessions", `{"person":7}`, 422, "person"},
		{"/desk/sessions", `{"person":"20101010001","method":"smart_id","checks":"yes"}`, 422, "checks"},
		{"/desk/sessions", `[]`, 400, ""},
		{"/desk/sessions", `{"person":`, 400, ""},
		{"/desk/sessions", ``, 400, ""},
		{"/desk/sessions", `{"person":"` + strings.Repeat("x", maxRequest) + `"}`, 413, ""},
		{own + "/decision", `{"decision":"dance"}`, 422, "decision"},
		{own + "/decision", `{}`, 422, "decision"},
		{"/desk/sessions/nobody/decision", `{"decision":"confirm"}`, 409, ""},
		{own + "/post", `{}`, 409, ""},
		{"/desk/sessions/nobody/post", `{}`, 409, ""},
		{"/desk/conditions", `{"marksign":"ill"}`, 422, "marksign"},
		{"/desk/conditions", `{"receiver":"down"}`, 422, "receiver"},
		{"/desk/nothing", `{}`, 404, ""},
	} {
		status, answer, header := request(t, f, http.MethodPost, test.path, test.body, asJSON)
		var told problem
		if test.status != 404 && (json.Unmarshal(answer, &told) != nil || told.Status != status || told.Detail == "" ||
			header.Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s %.60s: %s is no problem", test.path, test.body, answer)
		}
		var fields []string
		for _, fault := range told.Errors {
			fields = append(fields, fault.Field)
		}
		if status != test.status || strings.Join(fields, " ") != test.fields {
			t.Errorf("%s %.60s: got %d, fields %v, want %d, %s", test.path, test.body, status, fields, test.status, test.fields)
		}
	}
}

func TestActions_DecideOnce(t *testing.T) {
	t.Parallel()
	f := run(t, 0, Options{})
	var session stage.Session
	if err := json.Unmarshal(post(t, f, "/desk/sessions", anOrder), &session); err != nil {
		t.Fatal(err)
	}
	if session.Number != 1 || session.Method != "mobile_id" || session.Checks || len(session.Code) != 4 || session.Token == "" {
		t.Errorf("started %+v", session)
	}
	post(t, f, "/desk/sessions/"+session.Token+"/decision", `{"decision":"refuse"}`)
	if status, _, _ := request(t, f, http.MethodPost, "/desk/sessions/"+session.Token+"/decision", `{"decision":"confirm"}`, asJSON); status != http.StatusConflict {
		t.Errorf("a second decision got %d", status)
	}
	if s, _ := f.stage.Simulator().Session(session.Token); s.Outcome != "refuses" {
		t.Errorf("the session's outcome is %s", s.Outcome)
	}
}
