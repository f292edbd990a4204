package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// oddReceiver fails in every way and sends back what it was sent. Which way, the
// tokens say: recv-3-00000 gets the third of the ways once. What it takes, the
// honest one counts.
type oddReceiver struct {
	honest http.Handler

	mu          sync.Mutex
	posts       map[string]int
	certificate string // as it was posted, to search for
	posted      []byte // bodies, to show that there was something to find
}

func newOddReceiver(w *world) *oddReceiver {
	return &oddReceiver{honest: w.receiver.front("odd"), posts: make(map[string]int)}
}

func (o *oddReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	event, err := webhook.Parse(body)
	if err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	how, _, _ := strings.Cut(event.Data.Token, "-")
	switch nth := o.arrive(event, body); {
	case how == "gone":
		says(http.StatusGone, string(body))(w, r)
	case how == "hopeless":
		says(http.StatusInternalServerError, string(body))(w, r)
	case (how == "tampered" || how == "swapped") && nth == 1:
		w.Header().Set("Retry-After", "60") // so that there is time to spoil the seal
		says(http.StatusServiceUnavailable, string(body))(w, r)
	case how == "recv" && nth == 1:
		ways(string(body))[number(event.Data.Token)](w, r)
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		o.honest.ServeHTTP(w, r)
	}
}

func (o *oddReceiver) arrive(e webhook.Event, body []byte) (nth int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.posted = append(o.posted, body...)
	var certificate struct{ Value string }
	if json.Unmarshal(e.Data.Certificate, &certificate) == nil && o.certificate == "" && certificate.Value != "" {
		o.certificate = certificate.Value[len(certificate.Value)/2:][:40]
	}
	o.posts[e.Data.Token]++
	return o.posts[e.Data.Token]
}

// ways are those in which a receiver may fail, or succeed in an odd way.
func ways(body string) []http.HandlerFunc {
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-Echo"], w.Header()["Content-Type"] = []string{markedCode}, []string{markedName}
			w.Header()["Retry-After"] = []string{markedCode}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	raw := func(head string) http.HandlerFunc { return wire("HTTP/1.1 " + head) }
	return []http.HandlerFunc{
		echo(500), echo(418), echo(401), echo(404), echo(429), echo(503), echo(200), echo(202),
		raw("500 " + markedName + " " + markedCode + "\r\n\r\n" + body),
		raw("204 No Content\r\n\r\n" + body), // more than there is to a 204
		raw("200 OK\r\nContent-Length: 2\r\n\r\nok" + body),
		raw("200 OK\r\n" + body),
		raw("103 " + markedName + "\r\nLink: <" + markedCode + ">\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
		raw("302 Found\r\nLocation: http://127.0.0.1/" + markedCode + "\r\nContent-Length: 0\r\n\r\n"),
		raw("308 Moved\r\nLocation: ::" + markedName + "\r\nContent-Length: 0\r\n\r\n"),
		raw("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + markedCode + "\r\n\r\n" + body),
		raw("500 No\r\nTransfer-Encoding: chunked\r\n\r\n" + markedCode + "\r\n"),
		raw("500 No\r\nContent-Length: 99999999\r\n\r\n" + body),
		raw(markedNumber + " No\r\n\r\n"),
		raw("500 No\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + markedName + "\r\n\r\n"),
		wire(markedName), wire(""), wire(body),
		func(w http.ResponseWriter, _ *http.Request) { // too big
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, strings.Repeat(body, 2000))
		},
		func(w http.ResponseWriter, _ *http.Request) { // small on the wire, and large unpacked
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, gzipped(strings.Repeat(body, 2000)))
		},
		func(_ http.ResponseWriter, r *http.Request) { // slow
			select {
			case <-time.After(3 * time.Second):
			case <-r.Context().Done():
			}
		},
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
}
