package marksim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
)

func TestByHand(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	for _, token := range []string{"confirmed", "refused", "expired", "forgotten"} {
		s.Add(token, marksim.SmartID, marksim.Person{Code: "10101010000", Outcome: marksim.Waits})
	}
	if !s.Confirm("confirmed") || !s.Refuse("refused") || !s.Expire("expired") || !s.Forget("forgotten") {
		t.Error("could not decide what was open")
	}
	if s.Confirm("refused") || s.Refuse("confirmed") || s.Confirm("forgotten") || s.Forget("forgotten") ||
		s.Expire("confirmed") || s.Confirm("none") || s.Refuse("none") || s.Expire("none") || s.Forget("none") {
		t.Error("decided what was not open")
	}
	c := client(t, s)
	for token, want := range map[string]marksign.Verdict{
		"confirmed": marksign.Identified, "refused": marksign.Refused, "expired": marksign.Expired, "forgotten": marksign.NotFound,
	} {
		if got := c.Status(t.Context(), smart(token)); got.Verdict != want {
			t.Errorf("%s: got %v", token, got)
		}
	}
}

func TestAdd_PanicsOnMistakes(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.SmartID, quick)
	for name, add := range map[string]func(){
		"unknown method": func() { s.Add("u", "smartid", quick) },
		"token in use":   func() { s.Add("t", marksim.MobileID, quick) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			add()
		}()
	}
}

func TestSnapshot_TellsHowASessionWasTreated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := marksim.New(marksim.Options{AccessToken: accessToken})
		s.Add("t", marksim.SmartID, marksim.Person{Code: "10101010000", AfterMin: 4 * time.Second})
		c := client(t, s)
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		for _, second := range []int{1, 2, 5, 6, 20} { // final from 4 s on; the poll at 5 s is lost
			<-time.After(time.Until(at(second)))
			if second == 5 {
				s.SetFaults(marksim.Faults{Cut: 1})
			}
			c.Status(t.Context(), smart("t"))
			s.SetFaults()
		}
		c.Remove(t.Context(), smart("t"))
		c.Remove(t.Context(), smart("t"))
		got, ok := s.Session("t")
		want := marksim.Snapshot{
			Token: "t", Method: marksim.SmartID, Outcome: marksim.Confirms, StartedAt: start,
			Polls: 5, FirstPollAt: at(1), LastPollAt: at(20), MaxPollGap: 3 * time.Second,
			FinalAt: at(4), FinalSeenAt: at(6), FinalPolls: 2, Removes: 2, RemovedAt: at(20),
		}
		if !ok || got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if all := s.Sessions(); len(all) != 1 || all[0] != want {
			t.Errorf("got %+v", all)
		}
		if _, ok := s.Session("none"); ok {
			t.Error("a session that is not there")
		}
	})
}

func TestEvents_TellEveryCallAndNothingPersonal(t *testing.T) {
	t.Parallel()
	var events []marksim.Event
	s := marksim.New(marksim.Options{OnEvent: func(e marksim.Event) { events = append(events, e) }})
	_, body := call(t, s, "POST", "/smartid/login.json", `{"code":"20101010007","country":"LT","simulate":{"outcome":"waits"}}`)
	token, _ := started(t, body)
	call(t, s, "POST", "/smartid/login.json", `{"code":"MARKED","country":"LT"}`)
	c := client(t, s)
	c.Status(t.Context(), smart(token))
	s.SetFaults(marksim.Faults{TooMany: 1})
	c.Status(t.Context(), smart(token))
	s.SetFaults(marksim.Faults{Cut: 1})
	c.Status(t.Context(), smart(token))
	s.SetFaults()
	s.Confirm(token)
	c.Status(t.Context(), smart(token))
	c.Remove(t.Context(), smart(token))
	c.Remove(t.Context(), smart(token))
	c.Status(t.Context(), smart(token))

	var got []string
	calls := map[bool]marksim.Calls{false: marksim.StatusCalls, true: marksim.RemoveCalls}
	for i, e := range events {
		if want := calls[strings.HasPrefix(string(e.Kind), "remove")]; i > 1 && e.Call != want || i < 2 && e.Call != marksim.StartCalls {
			t.Errorf("event %d is of call %d", i, e.Call)
		}
		if e.At.IsZero() || (e.Token != token && e.Kind != marksim.StartRefused) {
			t.Errorf("got %+v", e)
		}
		got = append(got, string(e.Kind)+" "+e.Answer)
	}
	want := "started ok, start_refused error 40005, polled waiting, faulted HTTP 429, faulted cut: waiting, " +
		"final ok, removed ok, remove_refused error, polled error 40402"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if told := fmt.Sprintf("%+v %+v", events, s.Sessions()); strings.Contains(told, "20101010007") ||
		strings.Contains(told, "VISKUT") || strings.Contains(told, "MARKED") {
		t.Errorf("something personal in %s", told)
	}
}

// Ten thousand sessions, polled, decided and looked at all at once.
func TestManySessionsAtOnce(t *testing.T) {
	t.Parallel()
	const n, workers = 10_000, 8
	s := marksim.New(marksim.Options{AccessToken: accessToken, OnEvent: func(marksim.Event) {}})
	for i := range n {
		s.Add(strconv.Itoa(i), marksim.SmartID, marksim.Person{Outcome: marksim.Waits})
	}
	c := client(t, s)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				token := strconv.Itoa(i)
				c.Status(t.Context(), smart(token))
				s.Refuse(token)
				if got := c.Status(t.Context(), smart(token)); got.Verdict != marksign.Refused {
					t.Errorf("got %v", got)
				}
				c.Remove(t.Context(), smart(token))
			}
			s.SetFaults(marksim.Faults{Calls: marksim.StartCalls, Outage: true})
			s.Sessions()
		})
	}
	wg.Wait()
	for i, got := range s.Sessions() {
		if got.Token != strconv.Itoa(i) || got.Polls != 2 || got.FinalPolls != 1 || got.Removes != 1 || got.RemovedAt.IsZero() {
			t.Fatalf("got %+v", got)
		}
	}
}

func BenchmarkPending(b *testing.B) {
	s := marksim.New(marksim.Options{AccessToken: accessToken})
	s.Add("t", marksim.SmartID, marksim.Person{Outcome: marksim.Waits})
	req := httptest.NewRequest(http.MethodPost, "/smartid/status/t.json", nil)
	b.ReportAllocs()
	for b.Loop() {
		req.Body = io.NopCloser(strings.NewReader(`{"access_token":"access"}`))
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, req)
		if rec.Body.Len() != len(`{"status":"waiting"}`) {
			b.Fatal(rec.Body)
		}
	}
}

func BenchmarkIdentity(b *testing.B) {
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.SmartID, quick)
	b.ReportAllocs()
	for b.Loop() {
		call(b, s, "POST", "/smartid/status/t.json", `{}`)
	}
}
