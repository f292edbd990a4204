package stage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// application does what an application does: it starts a session at MarkSign,
// shows the person the control code, and has identwatch follow the session.
type application struct {
	markSign    string // base URL
	accessToken string
	tasks       *tasks.Client
}

// started is MarkSign's answer to a start.
type started struct {
	Status      string `json:"status"`
	Token       string `json:"token"`
	ControlCode string `json:"control_code"`
}

// startTimeout bounds the start of one session.
const startTimeout = 10 * time.Second

// paths are where sessions start.
var paths = map[tasks.Method]string{tasks.SmartID: "/smartid/login.json", tasks.MobileID: "/mobile/login.json"}

// anyPhone is the number of everybody who needs no certain one.
const anyPhone = "+37060000000"

// start starts a session.
func (a *application) start(ctx context.Context, p Part) (started, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	params := map[string]any{"access_token": a.accessToken, "code": p.Person.Code, "peps": p.Checks, "sanctions": p.Checks}
	if p.Waits {
		params["simulate"] = map[string]any{"outcome": marksim.Waits}
	}
	if p.Method == tasks.MobileID {
		params["phone"] = cmp.Or(p.Person.Phone, anyPhone)
	} else {
		params["country"] = p.Person.Country
	}
	body, err := json.Marshal(params)
	if err != nil {
		return started{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.markSign+paths[p.Method], bytes.NewReader(body))
	if err != nil {
		return started{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return sendStart(req)
}

func sendStart(req *http.Request) (started, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return started{}, fmt.Errorf("starting a session: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	var answer started
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&answer)
	if err != nil || answer.Status != "ok" {
		return started{}, fmt.Errorf("starting a session: the simulator answered HTTP %d and status %q", res.StatusCode, answer.Status)
	}
	return answer, nil
}

// enqueue has a started session followed.
func (a *application) enqueue(ctx context.Context, s Session) error {
	session := tasks.Session{
		Token: s.Token, Method: tasks.Method(s.Method), Reference: fmt.Sprintf("demo-%d", s.Number), StartedAt: s.StartedAt,
	}
	if s.Checks {
		session.Checks = []tasks.Check{tasks.PEPs, tasks.Sanctions}
	}
	return a.tasks.Enqueue(ctx, session)
}
