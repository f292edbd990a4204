package marksim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
)

const accessToken = "access"

// call makes one by RoundTrip and returns HTTP's status and the body.
func call(tb testing.TB, s *marksim.Simulator, method, path, body string) (int, string) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://marksim.test"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	res, err := s.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res.StatusCode, string(got)
}

// started is the token and control code of an answer to a start.
func started(tb testing.TB, body string) (token, controlCode string) {
	tb.Helper()
	var answer struct {
		Status      string `json:"status"`
		Token       string `json:"token"`
		ControlCode string `json:"control_code"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Status != "ok" {
		tb.Fatalf("not started: %s", body)
	}
	return answer.Token, answer.ControlCode
}

// client is MarkSign's client, without a network.
func client(tb testing.TB, s *marksim.Simulator) *marksign.Client {
	tb.Helper()
	c, err := marksign.New(marksign.Config{BaseURL: "http://marksim.test", AccessToken: accessToken, Transport: s})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// follow polls once a second until the answer is not pending.
func follow(tb testing.TB, c *marksign.Client, s marksign.Session) marksign.Answer {
	tb.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for range 600 {
		if a := c.Status(tb.Context(), s); a.Verdict != marksign.Pending {
			return a
		}
		<-ticker.C
	}
	return marksign.Answer{}
}

func smart(token string) marksign.Session {
	return marksign.Session{Token: token, Method: marksign.SmartID}
}

// quick is a person who confirms at once.
var quick = marksim.Person{Name: "VARDAS", Surname: "PAVARDĖ", Code: "10101010000", Country: "LT"}
