package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// oddMarkSign is MarkSign with answers that say names and secrets where none
// belong. Which ones, the tokens say.
type oddMarkSign struct {
	honest      http.Handler
	accessToken string

	mu    sync.Mutex
	calls map[string]int // polls and removals, by method and token
}

func newOddMarkSign(w *world) *oddMarkSign {
	return &oddMarkSign{honest: w.calls.front("odd", w.sim), accessToken: w.secrets.accessToken, calls: make(map[string]int)}
}

func (m *oddMarkSign) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimSuffix(path.Base(r.URL.Path), ".json")
	m.mu.Lock()
	m.calls[r.Method+token]++
	nth := m.calls[r.Method+token]
	m.mu.Unlock()
	choose := m.poll
	if r.Method == http.MethodDelete {
		choose = m.removal
	}
	if odd := choose(token, nth); odd != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		odd(w, r)
		return
	}
	m.honest.ServeHTTP(w, r)
}

func (m *oddMarkSign) poll(token string, nth int) http.HandlerFunc {
	how, _, _ := strings.Cut(token, "-")
	if how == "final" {
		if final := m.finals()[number(token)]; nth > 1 || strings.Contains(final, "40402") {
			return says(200, strings.ReplaceAll(final, "TOKEN", token))
		}
		return nil
	}
	if how == "odd" && nth == 1 {
		return append(m.failures(token), lies()...)[number(token)]
	}
	return nil
}

func (m *oddMarkSign) removal(token string, nth int) http.HandlerFunc {
	refusal := says(200, `{"status":"error","message":"`+markedMessage+` `+m.accessToken+`"}`)
	how, _, _ := strings.Cut(token, "-")
	if how == "unremovable" || how == "refusal" && nth == 1 {
		return refusal
	}
	if failures := m.failures(token); how == "odd" && nth == 1 && number(token) < len(failures) {
		return failures[number(token)]
	}
	return nil
}

// number is the one in a token such as odd-3-00000.
func number(token string) (n int) {
	_, rest, _ := strings.Cut(token, "-")
	_, _ = fmt.Sscanf(rest, "%d", &n)
	return n
}

// finals are answers that end a session and are like none that is documented.
func (m *oddMarkSign) finals() []string {
	message := `"message":"` + markedMessage + " " + m.accessToken + `"`
	person := `"status":"ok","token":"TOKEN","code":"` + markedCode + `"`
	return []string{
		`{"status":"error","error_code":40020,` + message + `}`,
		`{"status":"error","error_code":40021,` + message + `}`,
		`{"status":"error","error_code":40401,` + message + `}`,
		`{"status":"error","error_code":40402,` + message + `}`,
		`{"status":"error","error_code":49999,` + message + `}`,
		`{"status":"error","error_code":"49998",` + message + `}`,
		`{"status":"canceled",` + message + `}`,
		`{` + person + `,"name":{"first":"` + markedName + `"},"surname":["` + markedCode + `"],"country":false}`,
		`{` + person + `,"name":"` + markedName + `","certificate":"` + markedDocument + `","peps_data":"` + markedRecord + `","sanctions_data":7}`,
		`{` + person + `,"name":"` + markedName + `","peps_data":{"a":{"full_name":"` + markedRecord + `"}},"` + markedDocument + `":"` + markedCode + `"}`,
	}
}

// lies say ok, but not of this session. To a removal they would be a plain yes.
func lies() []http.HandlerFunc {
	person := `{"status":"ok","code":"` + markedCode + `","name":"` + markedName + `"`
	return []http.HandlerFunc{
		says(200, person+`,"token":"other"}`),
		says(200, person+`,"token":["`+markedCode+`"]}`),
		says(500, person+`}`),
		says(429, person+`}`),
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, gzipped(person+`,"token":"other"}`))
		},
	}
}

// failures are what comes once instead of an answer.
func (m *oddMarkSign) failures(token string) []http.HandlerFunc {
	message := `"message":"` + markedMessage + `"`
	header := func(status int, name, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(name, value)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	person := `{"status":"ok","code":"` + markedCode + `","name":"` + markedName + `"`
	return []http.HandlerFunc{
		says(200, `{"status":"`+markedName+`"}`),
		says(200, `{"status":"error","error_code":50000,`+message+`}`),
		says(200, `{"status":"error","error_code":59999,`+message+`}`),
		says(200, `{"status":"error","error_code":`+markedNumber+`,`+message+`}`),
		says(500, `{"status":"error","error_code":"MARKCODE9X",`+message+`}`),
		says(200, `{"status":"error","error_code":{"`+markedCode+`":1},"message":["`+markedName+`"]}`),
		says(200, `{"status":"error","error_code":40003,"message":"`+m.accessToken+`"}`),
		says(200, person+`,"surn`),
		says(200, `{"status":["`+markedCode+`"],"name":"`+markedName+`"}`),
		says(200, `["`+markedName+`"]`),
		says(200, `"`+markedName+`"`),
		says(200, markedNumber),
		says(502, `<html>`+markedName+`</html>`),
		says(500, `{"person":`+person+`}}`),
		says(401, m.accessToken),
		says(401, `{"error":"`+m.accessToken+`"}`),
		says(403, markedMessage+m.accessToken),
		header(403, "WWW-Authenticate", m.accessToken, `{"access_token":"`+m.accessToken+`"}`),
		header(429, "Retry-After", "1", `{"person":`+person+`}}`),
		header(503, "Retry-After", markedCode, markedName),
		header(200, "Content-Type", "text/html; charset="+markedCode, `<title>`+markedName),
		header(302, "Location", "/smartid/status/"+token+".json?access_token="+m.accessToken+"&code="+markedCode, markedName),
		header(200, "Content-Encoding", "zstd", person+`}`),
		header(200, "Content-Encoding", "gzip", person+`}`),
		header(200, "Content-Encoding", "gzip", gzipped(person + `}`)[:40]),
		header(200, "Content-Length", "9999", person+`}`),
		tooLong(`{"status":"ok","name":"`, markedName),
		wire("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + `{"status":"waiting"}` + markedName),
		wire("HTTP/1.1 200 " + markedName + "\r\nContent-Length: 20\r\n\r\n" + `{"status":"waiting"}`),
		wire(markedName + "\r\n\r\n"),
		wire("HTTP/1.1 " + markedNumber + " OK\r\n\r\n"),
		wire("HTTP/1.1 200 OK\r\n" + markedName),
		wire("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + markedName + "\r\n\r\n"),
		wire("HTTP/1.1 200 OK\r\nContent-Length: " + markedCode + "\r\n\r\n"),
		wire("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + markedCode + "\r\n"),
		wire(""),
	}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// tooLong writes more than identwatch reads.
func tooLong(begin, again string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, err := io.WriteString(w, begin)
		for chunk := strings.Repeat(again, 10_000); err == nil && r.Context().Err() == nil; {
			_, err = io.WriteString(w, chunk)
		}
	}
}

// wire writes bytes as they are, and leaves them the time to be read.
func wire(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		time.AfterFunc(100*time.Millisecond, func() { _ = conn.Close() })
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}
