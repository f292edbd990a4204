package sessiontest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing/iotest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
)

// Answer is what MarkSign answers to a call. The zero Answer is 200 without a body.
type Answer struct {
	Status     int // zero: 200
	Body       string
	RetryAfter string        // the header
	Takes      time.Duration // until it comes, unless the caller goes first
	Cut        bool          // the connection breaks before the answer, or after its Body
}

// Answers of MarkSign.
var (
	Waiting    = Answer{Body: `{"status":"waiting"}`}
	Identified = Answer{Body: `{"status":"ok","token":"a","code":"MARKED-30303039914","name":"MARKED","surname":"MARKED","country":"LT"}`}
	OtherToken = Answer{Body: `{"status":"ok","token":"other","code":"MARKED-30303039914"}`}
	Gone       = Answer{Body: `{"status":"ok"}`} // to a removal
	NoRemoval  = Answer{Body: `{"status":"error","message":"MARKED"}`}
	Down       = Answer{Status: http.StatusServiceUnavailable}
	Cut        = Answer{Cut: true}
	CutOK      = Answer{Body: `{"status":"ok","token":"a",`, Cut: true}
)

// Error is an error body with its code.
func Error(code int) Answer {
	return Answer{Body: fmt.Sprintf(`{"status":"error","message":"MARKED","error_code":%d}`, code)}
}

// MarkSign answers as a test says, and notes its calls. It is safe for concurrent
// use. Before the first Says it answers Waiting.
type MarkSign struct {
	mu     sync.Mutex
	answer Answer
	told   bool
	calls  []Call
}

// Call is one call to MarkSign.
type Call struct {
	Method, Path string
	Body         string // with the access token
	At           time.Time
}

// Says sets the answer to all later calls.
func (m *MarkSign) Says(a Answer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer, m.told = a, true
}

// Calls are the calls since the last Calls.
func (m *MarkSign) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// Config is how a client reaches it. The client bounds no call, so that a test sees
// whether its caller does.
func (m *MarkSign) Config() marksign.Config {
	return marksign.Config{BaseURL: "https://marksign.example", AccessToken: "access-token-MARKED", Timeout: 24 * time.Hour, Transport: m}
}

// RoundTrip answers one call.
func (m *MarkSign) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	answer := m.answer
	if !m.told {
		answer = Waiting
	}
	m.calls = append(m.calls, Call{r.Method, r.URL.Path, string(body), time.Now()})
	m.mu.Unlock()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(answer.Takes):
	}
	if answer.Cut && answer.Body == "" {
		return nil, io.EOF
	}
	header := http.Header{}
	if answer.RetryAfter != "" {
		header.Set("Retry-After", answer.RetryAfter)
	}
	var content io.Reader = strings.NewReader(answer.Body)
	if answer.Cut {
		content = io.MultiReader(content, iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	return &http.Response{
		StatusCode: max(answer.Status, http.StatusOK), ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(content), Request: r,
	}, nil
}
