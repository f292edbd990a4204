package marksim_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
)

func TestDialect_Errors(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{Dialect: marksim.Dialect{ErrorStatus: 404, CodeAsText: true}})
	code, body := call(t, s, "POST", "/smartid/status/none.json", `{}`)
	if code != 404 || !strings.Contains(body, `"error_code":"40402"`) {
		t.Errorf("got %d %s", code, body)
	}
	if got := client(t, s).Status(t.Context(), smart("none")); got.Verdict != marksign.NotFound {
		t.Errorf("got %v", got)
	}
	code, body = call(t, s, "DELETE", "/api/smartid/session/none", `{}`)
	if code != 404 || strings.Contains(body, "error_code") {
		t.Errorf("got %d %s", code, body)
	}
}

func TestDialect_Nothing(t *testing.T) {
	t.Parallel()
	for nothing, want := range map[marksim.Nothing]string{
		marksim.EmptyList: "[]", marksim.EmptyMap: "{}", marksim.Null: "null", marksim.Absent: "",
	} {
		s := marksim.New(marksim.Options{Dialect: marksim.Dialect{Unasked: nothing}})
		_, body := call(t, s, "POST", "/smartid/login.json",
			`{"code":"20101010007","country":"LT","sanctions":true,"simulate":{"after_ms":0}}`) // who has hits of both kinds
		token, _ := started(t, body)
		id := client(t, s).Status(t.Context(), smart(token)).Identity
		if id == nil || string(id.PEPs) != want || !strings.HasPrefix(string(id.Sanctions), `[{"id":`) {
			t.Errorf("not asked for: want %q", want)
		}

		s = marksim.New(marksim.Options{Dialect: marksim.Dialect{Clear: nothing}})
		s.Add("t", marksim.SmartID, quick)
		id = client(t, s).Status(t.Context(), smart("t")).Identity
		if id == nil || string(id.PEPs) != want || string(id.Sanctions) != want {
			t.Errorf("nothing found: want %q", want)
		}
	}
}

func TestDialect_Times(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := marksim.New(marksim.Options{Dialect: marksim.Dialect{Lifetime: time.Minute, Readable: 10 * time.Second}})
		c, start := client(t, s), time.Now()
		s.Add("slow", marksim.SmartID, marksim.Person{Outcome: marksim.Waits})
		s.Add("done", marksim.SmartID, marksim.Person{Code: "10101010000", AfterMin: 5 * time.Second})
		steps := []struct {
			after      time.Duration
			slow, done marksign.Verdict
		}{
			{0, marksign.Pending, marksign.Pending},
			{5 * time.Second, marksign.Pending, marksign.Identified},
			{15 * time.Second, marksign.Pending, marksign.Identified},
			{16 * time.Second, marksign.Pending, marksign.NotFound},
			{time.Minute, marksign.Pending, marksign.NotFound},
			{61 * time.Second, marksign.NotFound, marksign.NotFound},
		}
		for _, step := range steps {
			<-time.After(time.Until(start.Add(step.after)))
			slow, done := c.Status(t.Context(), smart("slow")), c.Status(t.Context(), smart("done"))
			if slow.Verdict != step.slow || done.Verdict != step.done {
				t.Errorf("after %v: got %v and %v", step.after, slow, done)
			}
		}
		if got := c.Remove(t.Context(), smart("slow")); got.Verdict != marksign.RemoveRefused || s.Confirm("slow") || s.Forget("slow") {
			t.Errorf("what is gone can be changed: %+v", got)
		}
	})
}
