package marksign

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// The values that a test looks for where they must not be.
const (
	testToken   = "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f"
	accessToken = "MARKED-ACCESS-TOKEN"
)

// documentedOK is the sample of MarkSign's documentation.
const documentedOK = `{
  "status": "ok",
  "certificate": {
    "name": "\/C=LT\/CN=SURNAME,NAME\/SN=SURNAME\/GN=NAME\/serialNumber=PNOLT-30303039914",
    "subject": {"country": "LT", "organisation": null, "organisation_unit": null,
      "common_name": "SURNAME,NAME", "surname": "SURNAME", "name": "TEN", "serial_number": "PNOLT-30303039914"},
    "issuer": {"country": "EE", "organisation": "AS Sertifitseerimiskeskus", "common_name": "TEST of EID-SK 2016"},
    "valid_from": "2021-09-17",
    "valid_to": "2024-09-17",
    "value": "TUlJSUZqQ0NCZjZnQXd..........xPak02Mk5rLzlRPT0="
  },
  "code": "30303039914",
  "country": "LT",
  "name": "NAME",
  "surname": "SURNAME",
  "token": "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f",
  "sanctions_data": [],
  "peps_data": []
}`

func errorBody(code int) string {
	return `{"status":"error","message":"as MarkSign says","error_code":` + strconv.Itoa(code) + `}`
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// respond answers every request with the same bytes; header is name, value.
func respond(status int, body string, header ...string) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		res := &http.Response{
			StatusCode: status, Header: http.Header{}, Request: req,
			Body: io.NopCloser(bytes.NewReader([]byte(body))),
		}
		for i := 0; i+1 < len(header); i += 2 {
			res.Header.Set(header[i], header[i+1])
		}
		return res, nil
	}
}

// newClient is a client of a transport, or of a server where rt is nil.
func newClient(tb testing.TB, base string, rt http.RoundTripper) *Client {
	tb.Helper()
	c, err := New(Config{BaseURL: base, AccessToken: accessToken, Transport: rt})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var smartSession = Session{Token: testToken, Method: SmartID}

// statusOf is the answer to one status call that gets this reply.
func statusOf(t *testing.T, rt roundTrip) Answer {
	t.Helper()
	return newClient(t, "http://marksign.test", rt).Status(t.Context(), smartSession)
}

func removeOf(t *testing.T, rt roundTrip) RemoveAnswer {
	t.Helper()
	return newClient(t, "http://marksign.test", rt).Remove(t.Context(), smartSession)
}

// serve is the base URL of a server of the test's own.
func serve(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	return server.URL
}

// abort closes the connection without another byte.
func abort() { panic(http.ErrAbortHandler) }
