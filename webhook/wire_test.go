package webhook

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mostRead is what may be read of a response, in bytes: its headers and its body, each byte of which may be a chunk of
// six, and what the connection has in hand.
const mostRead = 8 * maxResponse

// forEver writes a piece again and again until nobody reads any more, and returns how many bytes were read.
func forEver(conn net.Conn, head, piece string) (read int) {
	for text := head; ; text = piece {
		n, err := io.WriteString(conn, text)
		read += n
		if err != nil {
			return read
		}
	}
}

// bomb is zeros that were packed again and again in one stream: a kilobyte of it makes a megabyte.
func bomb(t *testing.T) string {
	t.Helper()
	var packed strings.Builder
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// What a receiver sends without an end is read no further than the bounds, counted on the wire; and it is not
// unpacked, so that there is no other count.
func TestSend_ReadsNoMoreThanItsBounds(t *testing.T) {
	t.Parallel()
	delivered := Result{Verdict: Delivered, Status: 200, Detail: "HTTP 200"}
	packed := bomb(t)
	for name, tt := range map[string]struct {
		head, piece string
		want        Result
	}{
		"body without a length":   {"HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 4096), delivered},
		"body of a great length":  {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", strings.Repeat("x", 4096), delivered},
		"chunks":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", delivered},
		"chunks of a byte":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", delivered},
		"chunk extensions":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("x", 4096), delivered},
		"trailers":                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", delivered},
		"gzip, though not asked":  {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", packed, delivered},
		"one line of headers":     {"HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 4096), Result{Detail: "invalid response"}},
		"headers":                 {"HTTP/1.1 200 OK\r\n", "X: y\r\n", Result{Detail: "invalid response"}},
		"a status line":           {"HTTP/1.1 200 ", strings.Repeat("x", 4096), Result{Detail: "invalid response"}},
		"continue":                {"", "HTTP/1.1 100 Continue\r\n\r\n", Result{Detail: "invalid response"}},
		"processing":              {"", "HTTP/1.1 102 Processing\r\n\r\n", Result{Detail: "invalid response"}},
		"early hints":             {"", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", Result{Detail: "invalid response"}},
		"early hints, long ones":  {"", "HTTP/1.1 103 Early Hints\r\nLink: </" + strings.Repeat("x", 4096) + ">\r\n\r\n", Result{Detail: "invalid response"}},
		"not HTTP":                {"", strings.Repeat("x", 4096), Result{Detail: "invalid response"}},
		"another protocol's data": {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", strings.Repeat("x", 4096), Result{Status: 101, Detail: "HTTP 101"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				read := make(chan int, 1)
				s := pipeSender(t, afterRequest(func(conn net.Conn) { read <- forEver(conn, tt.head, tt.piece) }))
				start := time.Now()
				got := s.Send(t.Context(), "http://receiver.example/", "msg_1", []byte("{}"))
				if n := <-read; n > mostRead {
					t.Errorf("%d bytes were read, want %d at most", n, mostRead)
				}
				if took := time.Since(start); got != tt.want || took > defaultTimeout {
					t.Errorf("%+v after %v, want %+v", got, took, tt.want)
				}
			})
		})
	}
}

// A receiver that sends a byte now and then costs no more than the timeout, wherever in the response it is slow.
func TestSend_DripsEndWithTheTimeout(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{
		"continue":    "HTTP/1.1 100 Continue\r\n\r\n",
		"early hints": "HTTP/1.1 103 Early Hints\r\n\r\n",
		"headers":     "X: y\r\n",
		"status line": "H",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := pipeSender(t, afterRequest(func(conn net.Conn) {
					if name == "headers" {
						write(conn, "HTTP/1.1 200 OK\r\n")
					}
					for _, err := io.WriteString(conn, piece); err == nil; _, err = io.WriteString(conn, piece) {
						<-time.After(5 * time.Second)
					}
				}))
				start := time.Now()
				got := s.Send(t.Context(), "http://receiver.example/", "msg_1", []byte("{}"))
				if took := time.Since(start); got.Verdict == Delivered || took > defaultTimeout {
					t.Errorf("%+v after %v", got, took)
				}
			})
		})
	}
}

// The same over HTTP/2, which is bounded by its own means.
func TestSend_ReadsNoMoreThanItsBoundsOverHTTP2(t *testing.T) {
	t.Parallel()
	written := make(chan int, 1)
	for name, serve := range map[string]http.HandlerFunc{
		"body": func(w http.ResponseWriter, _ *http.Request) {
			written <- writeOn(w, strings.Repeat("x", 4096))
		},
		"gzip, though not asked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			written <- writeOn(w, bomb(t))
		},
		"headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+strings.Repeat("y", i+1), strings.Repeat("x", 4096))
			}
			written <- 0
		},
		"early hints": func(w http.ResponseWriter, r *http.Request) {
			n := 0
			w.Header().Set("Link", strings.Repeat("x", 4096))
			for r.Context().Err() == nil && n < 100*maxResponse {
				w.WriteHeader(http.StatusEarlyHints)
				n += 4096
			}
			written <- n
		},
	} {
		url, s := tlsReceiver(t, &tls.Config{MinVersion: tls.VersionTLS12}, serve)
		s.timeout = 5 * time.Second
		begun := time.Now()
		got := s.Send(t.Context(), url, "msg_1", []byte("{}"))
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("%s: %+v after %v", name, got, took)
		}
		if n := <-written; n > 64*maxResponse { // with what is in the buffers of the server and of the network
			t.Errorf("%s: %d bytes were written: %+v", name, n, got)
		}
	}
}

// writeOn writes until nobody takes it any more, and returns how many bytes were taken.
func writeOn(w http.ResponseWriter, piece string) (n int) {
	out := bufio.NewWriterSize(w, len(piece))
	for {
		written, err := out.WriteString(piece)
		n += written
		if err != nil {
			return n
		}
	}
}
