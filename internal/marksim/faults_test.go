package marksim_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
)

// Every fault, as the client sees it, without a network and over one.
func TestFaults_AsTheClientSeesThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		faults     marksim.Faults
		verdict    marksign.Verdict
		detail     string // with
		retryAfter time.Duration
	}{
		"outage":      {marksim.Faults{Outage: true}, marksign.Temporary, "connection closed", 0},
		"token":       {marksim.Faults{RejectToken: true}, marksign.Rejected, "invalid access token", 0},
		"5xx":         {marksim.Faults{ServerError: 1, RetryAfter: 1500 * time.Millisecond}, marksign.Temporary, "HTTP 50", 2 * time.Second},
		"429":         {marksim.Faults{TooMany: 1, RetryAfter: 20 * time.Second}, marksign.Temporary, "HTTP 429", 20 * time.Second},
		"429 bare":    {marksim.Faults{TooMany: 1}, marksign.Temporary, "HTTP 429", 0},
		"page":        {marksim.Faults{HTML: 1}, marksign.Temporary, "HTTP 200 without a JSON answer", 0},
		"502":         {marksim.Faults{BadGateway: 1}, marksign.Temporary, "HTTP 502 without a JSON answer", 0},
		"cut":         {marksim.Faults{Cut: 1}, marksign.Temporary, "answer cut short", 0},
		"error":       {marksim.Faults{Error: 1}, marksign.Temporary, "processing trouble", 0},
		"error 40801": {marksim.Faults{Error: 1, ErrorCode: 40801}, marksign.CertificateTimeout, "", 0},
		"forget":      {marksim.Faults{Forget: 1}, marksign.NotFound, "no session", 0},
		"hang":        {marksim.Faults{Hang: 1}, marksign.Temporary, "timed out", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := marksim.New(marksim.Options{})
			s.Add("t", marksim.SmartID, quick)
			s.Add("n", marksim.SmartID, quick)
			s.SetFaults(tt.faults)
			server := httptest.NewServer(s)
			defer server.Close()
			overNetwork, err := marksign.New(marksign.Config{BaseURL: server.URL, AccessToken: "a", Timeout: 200 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			inMemory, err := marksign.New(marksign.Config{
				BaseURL: server.URL, AccessToken: "a", Timeout: 20 * time.Millisecond, Transport: s,
			})
			if err != nil {
				t.Fatal(err)
			}
			for token, c := range map[string]*marksign.Client{"t": inMemory, "n": overNetwork} {
				got := c.Status(t.Context(), smart(token))
				if got.Verdict != tt.verdict || !strings.HasPrefix(got.Detail, tt.detail) || got.RetryAfter != tt.retryAfter {
					t.Errorf("%s: got %v, retry after %v", token, got, got.RetryAfter)
				}
				if snapshot, _ := s.Session(token); snapshot.Polls == 0 || snapshot.FinalPolls != 0 || !snapshot.FinalSeenAt.IsZero() {
					t.Errorf("%s: got %+v", token, snapshot)
				}
			}
		})
	}
}

// No wrong shape may look final to the client, nor remove a session.
func TestFaults_WrongShapesSettleNothing(t *testing.T) {
	t.Parallel()
	var details []string
	s := marksim.New(marksim.Options{Seed: 1})
	s.Add("t", marksim.SmartID, quick)
	s.SetFaults(marksim.Faults{WrongShape: 1})
	c := client(t, s)
	for range 300 {
		switch got := c.Status(t.Context(), smart("t")); got.Verdict {
		case marksign.Pending, marksign.Temporary, marksign.Unusable:
			details = append(details, got.Detail)
		default:
			t.Errorf("got %v", got)
		}
		if got := c.Remove(t.Context(), smart("t")); got.Verdict == marksign.Removed {
			t.Errorf("got %+v", got)
		}
	}
	all := strings.Join(details, "\n")
	for _, want := range []string{"unknown status", "another token", "without a token", "HTTP 200 without a status", "HTTP 500 without a status", "JSON answer", "usable code"} {
		if !strings.Contains(all, want) {
			t.Errorf("no shape came to %q", want)
		}
	}
}

func TestFaults_OnRemovals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := marksim.New(marksim.Options{AccessToken: accessToken})
		s.Add("t", marksim.SmartID, quick)
		c := client(t, s)
		for _, step := range []struct {
			faults  marksim.Faults
			verdict marksign.RemoveVerdict
			detail  string
		}{
			{marksim.Faults{RemoveError: 1}, marksign.RemoveRefused, "removal refused"},
			{marksim.Faults{Hang: 1, Calls: marksim.RemoveCalls}, marksign.RemoveTemporary, "timed out"},
			{marksim.Faults{BadGateway: 1, Calls: marksim.StatusCalls}, marksign.Removed, ""},
		} {
			s.SetFaults(step.faults)
			if got := c.Remove(t.Context(), smart("t")); got.Verdict != step.verdict || got.Detail != step.detail {
				t.Errorf("%+v: got %+v", step.faults, got)
			}
		}
		if got, _ := s.Session("t"); got.Removes != 3 || got.RemovedAt != time.Now() {
			t.Errorf("got %+v", got)
		}
	})
}

// The removal happened, and nobody heard of it.
func TestFaults_CutRemovalHasRemoved(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.Add("t", marksim.SmartID, quick)
	s.SetFaults(marksim.Faults{Cut: 1, Calls: marksim.RemoveCalls})
	c := client(t, s)
	if got := c.Remove(t.Context(), smart("t")); got.Detail != "answer cut short" {
		t.Errorf("got %+v", got)
	}
	s.SetFaults()
	if got := c.Remove(t.Context(), smart("t")); got.Verdict != marksign.RemoveRefused {
		t.Errorf("got %+v", got)
	}
}

func TestFaults_OnStarts(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.SetFaults(
		marksim.Faults{BadGateway: 1, Calls: marksim.StatusCalls | marksim.RemoveCalls},
		marksim.Faults{Forget: 1, RemoveError: 1, Calls: marksim.StartCalls}, // neither is for a start
	)
	_, body := call(t, s, "POST", "/smartid/login.json", `{"code":"10101010000","country":"LT"}`)
	started(t, body)
	s.SetFaults(marksim.Faults{BadGateway: 1})
	if code, _ := call(t, s, "POST", "/smartid/login.json", `{"code":"10101010000","country":"LT"}`); code != 502 {
		t.Errorf("got %d", code)
	}
	if n := len(s.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

func TestFaults_LatencyIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := marksim.New(marksim.Options{})
		s.Add("t", marksim.SmartID, quick)
		s.SetFaults(marksim.Faults{Latency: time.Second, Jitter: time.Second})
		c, seen := client(t, s), map[time.Duration]bool{}
		for range 20 {
			start := time.Now()
			got, took := c.Status(t.Context(), smart("t")), time.Since(start)
			if got.Verdict != marksign.Identified || took < time.Second || took >= 2*time.Second {
				t.Errorf("got %v after %v", got, took)
			}
			seen[took] = true
		}
		if len(seen) < 10 {
			t.Errorf("hardly any jitter: %v", seen)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got := c.Status(ctx, smart("t")); got.Detail != "timed out" {
			t.Errorf("got %v", got)
		}
	})
}

func TestFaults_RatesAddUp(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{Seed: 1})
	s.Add("t", marksim.SmartID, quick)
	s.SetFaults(marksim.Faults{BadGateway: 0.1, Cut: 0.2})
	c, got := client(t, s), map[string]int{}
	for range 2000 {
		got[c.Status(t.Context(), smart("t")).Detail]++
	}
	for detail, want := range map[string]int{"HTTP 502 without a JSON answer": 200, "answer cut short": 400, "": 1400} {
		if n := got[detail]; n < want*8/10 || n > want*12/10 {
			t.Errorf("%q: got %d of 2000, want about %d", detail, n, want)
		}
	}
}

// The same seed tells the same story, in whatever order the sessions are polled.
func TestSeed_DecidesEverything(t *testing.T) {
	t.Parallel()
	story := func(seed uint64, order []string) string {
		var told strings.Builder
		synctest.Test(t, func(t *testing.T) {
			s := marksim.New(marksim.Options{Seed: seed})
			for range 3 {
				_, body := call(t, s, "POST", "/smartid/login.json", `{"code":"10101010002","country":"LT"}`)
				told.WriteString(body)
			}
			for _, token := range []string{"a", "b"} {
				s.Add(token, marksim.SmartID, marksim.Person{Outcome: marksim.Waits, AfterMax: time.Minute})
			}
			s.SetFaults(marksim.Faults{ServerError: 0.2, HTML: 0.2, Cut: 0.2, WrongShape: 0.2})
			c, polls := client(t, s), map[string]string{}
			for range 20 {
				for _, token := range order {
					polls[token] += c.Status(t.Context(), smart(token)).String() + "\n"
				}
			}
			if len(order) == 2 && polls["a"] == polls["b"] {
				t.Error("two sessions met the same faults")
			}
			told.WriteString(polls["a"] + polls["b"])
			for _, snapshot := range s.Sessions() {
				fmt.Fprintln(&told, snapshot.Token, snapshot.FinalAt)
			}
		})
		return told.String()
	}
	first := story(7, []string{"a", "b"})
	if first != story(7, []string{"b", "a"}) {
		t.Error("one seed told two stories")
	}
	if first == story(8, []string{"a", "b"}) {
		t.Error("two seeds told one story")
	}
	once, again := story(0, nil), story(0, nil)
	if once == again {
		t.Error("no seed told one story twice")
	}
}

func TestServer_DropsConnections(t *testing.T) {
	t.Parallel()
	s := marksim.New(marksim.Options{})
	s.SetFaults(marksim.Faults{Outage: true})
	server := httptest.NewServer(s)
	defer server.Close()
	res, err := server.Client().Post(server.URL+"/smartid/status/t.json", "application/json", strings.NewReader(`{}`))
	if err == nil {
		res.Body.Close()
		t.Errorf("got HTTP %d", res.StatusCode)
	} else if !strings.Contains(err.Error(), io.EOF.Error()) {
		t.Error(err)
	}
}
