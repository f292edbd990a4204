package marksim

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// isOut reports whether a simulator closes connections.
func isOut(s *Simulator) bool {
	req := httptest.NewRequest(http.MethodPost, "/smartid/login.json", strings.NewReader(`{"code":"20101010001","country":"LT"}`))
	res, err := s.RoundTrip(req)
	if err == nil {
		res.Body.Close()
	}
	return err != nil
}

func TestPlay_HasTheOutageInItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plan Plan
		out  []bool // at half past each second
	}{
		"none":     {Plan{}, []bool{false, false, false}},
		"at once":  {Plan{Lasts: time.Second}, []bool{true, false, false}},
		"later":    {Plan{After: time.Second, Lasts: 2 * time.Second}, []bool{false, true, true, false}},
		"for long": {Plan{After: time.Second, Lasts: time.Hour}, []bool{false, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				s, ended := New(Options{}), make(chan struct{})
				go func() {
					defer close(ended)
					s.Play(ctx, test.plan)
				}()
				time.Sleep(500 * time.Millisecond)
				for second, want := range test.out {
					if isOut(s) != want {
						t.Errorf("at %d.5 s: out is %v", second, !want)
					}
					time.Sleep(time.Second)
				}
				stop()
				<-ended
			})
		})
	}
}

func TestPlay_HasTheOtherFaultsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	always := Faults{Latency: time.Second, ServerError: 0.1}
	turns := Plan{Always: always, After: 20 * time.Second, Lasts: 10 * time.Second}.turns()
	if len(turns) != 3 || turns[0].lasts != 20*time.Second || turns[1].lasts != 10*time.Second || turns[2].lasts != 0 {
		t.Fatalf("got %+v", turns)
	}
	if turns[0].faults[0] != always || turns[2].faults[0] != always || turns[1].faults[0] != (Faults{Outage: true}) {
		t.Errorf("got %+v", turns)
	}
}

func TestAddMany_StartsSessionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	tokens := s.AddMany(50, MobileID, time.Second, 2*time.Second)
	sessions := s.Sessions()
	if len(tokens) != 50 || len(sessions) != 50 {
		t.Fatalf("%d tokens of %d sessions", len(tokens), len(sessions))
	}
	for i, session := range sessions {
		after := session.FinalAt.Sub(session.StartedAt)
		if session.Token != tokens[i] || session.Method != MobileID || session.Outcome != Confirms || after < time.Second || after > 2*time.Second {
			t.Errorf("got %+v", session)
		}
	}
}
