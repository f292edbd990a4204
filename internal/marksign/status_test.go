package marksign

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// The rows are those of the table in upstream.md.
func TestStatus_CodeDecidesWhateverTheHTTPStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code    int
		verdict Verdict
		reason  string
	}{
		{40001, Failed, "invalid_request"},
		{40003, Rejected, "access_rejected"},
		{40004, Failed, "invalid_phone"},
		{40005, Failed, "invalid_code"},
		{40020, Refused, "refused"},
		{40021, Expired, "session_expired"},
		{40022, Failed, "document_corrupted"},
		{40401, Failed, "no_account"},
		{40402, NotFound, "not_found"},
		{40403, Failed, "not_qualified"},
		{40801, CertificateTimeout, "certificate_timeout"},
		{50000, Temporary, "unavailable"},
		{50001, Temporary, "unavailable"},
		{50002, Temporary, "unavailable"},
		{50003, Rejected, "not_authorised"},
		{50004, Rejected, "misconfigured"},
		{50005, Temporary, "unavailable"},
		{59999, Temporary, "unavailable"},
		{39999, Temporary, "unavailable"},
		{60000, Temporary, "unavailable"},
		{404, Temporary, "unavailable"},
		{0, Temporary, "unavailable"},
	}
	for _, tt := range tests {
		for _, status := range []int{200, 400, 401, 403, 404, 408, 429, 500, 503} {
			t.Run(strconv.Itoa(tt.code)+" with "+strconv.Itoa(status), func(t *testing.T) {
				t.Parallel()
				got := statusOf(t, respond(status, errorBody(tt.code)))
				if got.Verdict != tt.verdict || got.Reason != tt.reason || got.Code != tt.code {
					t.Errorf("got %v, want %v code=%d reason=%s", got, tt.verdict, tt.code, tt.reason)
				}
				if got.Message != "as MarkSign says" || got.Detail == "" || got.Identity != nil {
					t.Errorf("got message %q, detail %q, identity %v", got.Message, got.Detail, got.Identity)
				}
			})
		}
	}
}

// An unknown 4xxxx is final, unless HTTP's status says that it is not the session's.
func TestStatus_UnknownCodesGoByHTTP(t *testing.T) {
	t.Parallel()
	for _, code := range []int{40000, 40100, 40800, 42900, 49999} {
		for status, want := range map[int]Answer{
			200: {Verdict: Failed, Reason: "unknown_error", Detail: "unknown error code"},
			400: {Verdict: Failed, Reason: "unknown_error", Detail: "unknown error code"},
			404: {Verdict: Failed, Reason: "unknown_error", Detail: "unknown error code"},
			422: {Verdict: Failed, Reason: "unknown_error", Detail: "unknown error code"},
			401: {Verdict: Rejected, Reason: "access_rejected", Detail: "unknown error code with HTTP 401"},
			403: {Verdict: Rejected, Reason: "access_rejected", Detail: "unknown error code with HTTP 403"},
			408: {Verdict: Temporary, Reason: "unavailable", Detail: "unknown error code with HTTP 408"},
			429: {Verdict: Temporary, Reason: "unavailable", Detail: "unknown error code with HTTP 429"},
			500: {Verdict: Temporary, Reason: "unavailable", Detail: "unknown error code with HTTP 500"},
			503: {Verdict: Temporary, Reason: "unavailable", Detail: "unknown error code with HTTP 503"},
			522: {Verdict: Temporary, Reason: "unavailable", Detail: "unknown error code with HTTP 522"},
		} {
			want.Code, want.Message = code, "as MarkSign says"
			if got := statusOf(t, respond(status, errorBody(code))); got != want {
				t.Errorf("%d with HTTP %d: got %v, want %v", code, status, got, want)
			}
		}
	}
}

func TestStatus_WithoutACodeToGoBy(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		`null`, `""`, `"none"`, `-40020`, `40020.5`, `4.002e4`, `[40020]`, `{"code":40020}`, `true`,
		`99999999999999999999999`, `"-40020"`,
	} {
		got := statusOf(t, respond(200, `{"status":"error","error_code":`+code+`}`))
		if got.Verdict != Temporary || got.Code != 0 || got.Detail != "error without a usable code" {
			t.Errorf("error_code %s: got %v", code, got)
		}
	}
	for _, number := range []string{"39901019876", `"39901019876"`, "400200", "040020"} { // codes have five digits, people's have more
		got := statusOf(t, respond(200, `{"status":"error","error_code":`+number+`}`))
		if got.Code != 0 || got.Verdict != Temporary {
			t.Errorf("error_code %s: got %v", number, got)
		}
	}
	got := statusOf(t, respond(200, `{"status":"error","error_code":"40020"}`))
	if got.Verdict != Refused || got.Code != 40020 {
		t.Errorf("a code in a string: got %v", got)
	}
}

func TestStatus_Pending(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, detail string }{
		"documented":     {`{"status":"waiting"}`, ""},
		"spaced":         {"{ \"status\" : \"waiting\" }\r\n", ""},
		"with more":      {`{"status":"waiting","control_code":"1234"}`, ""},
		"unknown status": {`{"status":"on_hold"}`, "unknown status"},
		"empty status":   {`{"status":""}`, "unknown status"},
		"OK in capitals": {`{"status":"OK","code":"1","token":"` + testToken + `"}`, "unknown status"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := statusOf(t, respond(200, tt.body))
			if want := (Answer{Detail: tt.detail}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestStatus_CanceledIsRefused(t *testing.T) {
	t.Parallel()
	got := statusOf(t, respond(200, `{"status":"canceled"}`))
	if got.Verdict != Refused || got.Reason != "canceled" {
		t.Errorf("got %v", got)
	}
}

func TestStatus_WithoutAStatusGoesByHTTP(t *testing.T) {
	t.Parallel()
	const page = "<html><body>nginx</body></html>"
	tests := []struct {
		status  int
		body    string
		verdict Verdict
		detail  string
	}{
		{200, page, Temporary, "HTTP 200 without a JSON answer"},
		{200, ``, Temporary, "HTTP 200 without a JSON answer"},
		{200, `[]`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `null`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `"ok"`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `[{"status":"ok"}]`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `{"status":"waiting"`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `{"status":"waiting"}{"status":"waiting"}`, Temporary, "HTTP 200 without a JSON answer"},
		{200, `{"status":` + strings.Repeat("[", 100_000), Temporary, "HTTP 200 without a JSON answer"},
		{200, `{}`, Temporary, "HTTP 200 without a status"},
		{200, `{"Status":"ok"}`, Temporary, "HTTP 200 without a status"},
		{200, `{"status":1}`, Temporary, "HTTP 200 without a status"},
		{200, `{"status":["ok"]}`, Temporary, "HTTP 200 without a status"},
		{204, ``, Temporary, "HTTP 204 without a JSON answer"},
		{401, ``, Rejected, "HTTP 401 without a JSON answer"},
		{403, "\r\n", Rejected, "HTTP 403 without a JSON answer"},
		{401, `{"error":"denied"}`, Rejected, "HTTP 401 without a status"},
		{403, `{"error":{"message":"Access denied."}}`, Rejected, "HTTP 403 without a status"},
		{400, `{"error":{"message":"Bad request"}}`, Temporary, "HTTP 400 without a status"},
		{404, `{"error":{"message":"No route found"}}`, Temporary, "HTTP 404 without a status"},
		{429, `{"error":{"message":"Too many"}}`, Temporary, "HTTP 429 without a status"},
		{500, `{"error":{"message":"Oops"}}`, Temporary, "HTTP 500 without a status"},
		{520, page, Temporary, "HTTP 520 without a JSON answer"},
		{522, page, Temporary, "HTTP 522 without a JSON answer"},
		{527, page, Temporary, "HTTP 527 without a JSON answer"},
		{403, "<html><title>Error 1020</title>", Temporary, "HTTP 403 without a JSON answer"},
		{403, "<!DOCTYPE html><title>Just a moment...</title>", Temporary, "HTTP 403 without a JSON answer"},
		{503, "<!DOCTYPE html><title>Just a moment...</title>", Temporary, "HTTP 503 without a JSON answer"},
		{403, page, Temporary, "HTTP 403 without a JSON answer"},
		{404, page, Temporary, "HTTP 404 without a JSON answer"},
		{404, `{"code":404,"message":"Not Found"}`, Temporary, "HTTP 404 without a status"},
		{405, page, Temporary, "HTTP 405 without a JSON answer"},
		{429, ``, Temporary, "HTTP 429 without a JSON answer"},
		{500, `{}`, Temporary, "HTTP 500 without a status"},
		{502, page, Temporary, "HTTP 502 without a JSON answer"},
		{503, ``, Temporary, "HTTP 503 without a JSON answer"},
		{301, ``, Temporary, "HTTP 301 redirect, not followed"},
		{302, page, Temporary, "HTTP 302 redirect, not followed"},
		{307, ``, Temporary, "HTTP 307 redirect, not followed"},
	}
	for _, tt := range tests {
		t.Run(tt.detail, func(t *testing.T) {
			t.Parallel()
			got := statusOf(t, respond(tt.status, tt.body))
			if got.Verdict != tt.verdict || got.Detail != tt.detail || got.Message != "" {
				t.Errorf("got %v, want %v %q", got, tt.verdict, tt.detail)
			}
		})
	}
}

func TestStatus_RetryAfterComesWithAnyBody(t *testing.T) {
	t.Parallel()
	for _, rt := range []roundTrip{
		respond(429, ``, "Retry-After", "7"),
		respond(503, `<html>`, "Retry-After", "7"),
		respond(200, errorBody(50000), "Retry-After", "7"),
		respond(200, `{"status":"waiting"}`, "Retry-After", "7"),
	} {
		if got := statusOf(t, rt); got.RetryAfter != 7*time.Second {
			t.Errorf("got %v for %v", got.RetryAfter, got)
		}
	}
}

func TestStatus_RetryAfterIsBoundedForPollsAlone(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"31", "3600", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		rt := respond(429, ``, "Retry-After", asked)
		if got := statusOf(t, rt).RetryAfter; got != 30*time.Second {
			t.Errorf("a poll waits %v after %s", got, asked)
		}
		if got := removeOf(t, rt).RetryAfter; got <= 30*time.Second || got > time.Hour {
			t.Errorf("a removal waits %v after %s", got, asked)
		}
	}
}

func TestStatus_UnknownCodesAreToldFromUnusableOnes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{
		40999: "unknown error code", 50999: "unknown error code", 60000: "error without a usable code",
	} {
		if got := statusOf(t, respond(200, errorBody(code))); got.Detail != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestStatus_MessageIsBoundedText(t *testing.T) {
	t.Parallel()
	ascii := strings.Repeat("x", 501)
	if got := statusOf(t, respond(200, `{"status":"error","error_code":40001,"message":"`+ascii+`"}`)); got.Message != ascii[:500] {
		t.Errorf("got %d bytes", len(got.Message))
	}
	long := strings.Repeat("ž", 400)
	got := statusOf(t, respond(200, `{"status":"error","error_code":40001,"message":"x`+long+`"}`))
	if len(got.Message) != 499 || !utf8.ValidString(got.Message) {
		t.Errorf("got %d bytes, valid: %t", len(got.Message), utf8.ValidString(got.Message))
	}
	got = statusOf(t, respond(200, "{\"status\":\"error\",\"error_code\":40020,\"message\":\"\xff\\ud800\"}"))
	if got.Verdict != Refused || !utf8.ValidString(got.Message) {
		t.Errorf("got %v, message %q", got, got.Message)
	}
	for _, odd := range []string{`null`, `{}`, `["a"]`} {
		got = statusOf(t, respond(200, `{"status":"error","error_code":40020,"message":`+odd+`}`))
		if got.Verdict != Refused || got.Message != "" {
			t.Errorf("message %s: got %v, %q", odd, got, got.Message)
		}
	}
}

func TestVerdictsHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for v := Pending; v <= Unusable; v++ {
		seen[v.String()] = true
	}
	for _, v := range []RemoveVerdict{RemoveTemporary, Removed, RemoveRefused, RemoveRejected} {
		seen["remove "+v.String()] = true
	}
	if len(seen) != 14 || seen[""] {
		t.Errorf("got %v", seen)
	}
	if got := Verdict(99).String() + RemoveVerdict(-1).String(); got != "unknown 99unknown -1" {
		t.Errorf("got %q", got)
	}
}
