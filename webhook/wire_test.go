package webhook

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
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

// countedConn counts what is read of a connection.
type countedConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// counting has all that a sender reads of its connections counted, on the wire.
func counting(s *Sender) *atomic.Int64 {
	read := new(atomic.Int64)
	s.transport.(*http.Transport).DialContext = metered(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := newDialer(s.guard, s.timeout).DialContext(ctx, network, address)
		return countedConn{conn, read}, err
	})
	return read
}

// mostReadHTTP2 is what may be read of one post on a connection of its own: for the post, and for the handshake.
const mostReadHTTP2 = 2 * maxWire

// The same over HTTP/2, which is bounded by its own means. What counts is what is read: a server goes on writing into
// the buffers of the network until it hears that nobody reads.
func TestSend_ReadsNoMoreThanItsBoundsOverHTTP2(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]http.HandlerFunc{
		"body": func(w http.ResponseWriter, _ *http.Request) {
			writeOn(w, strings.Repeat("x", 4096))
		},
		"gzip, though not asked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			writeOn(w, bomb(t))
		},
		"headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+strings.Repeat("y", i+1), strings.Repeat("x", 4096))
			}
		},
		"early hints": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", strings.Repeat("x", 4096))
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, s := tlsReceiver(t, &tls.Config{MinVersion: tls.VersionTLS12}, serve)
			read := counting(s)
			got := s.Send(t.Context(), url, "msg_1", []byte("{}"))
			if n := read.Load(); n == 0 || n > mostReadHTTP2 {
				t.Errorf("%d bytes were read, want %d at most: %+v", n, mostReadHTTP2, got)
			}
		})
	}
}

// frame is an HTTP/2 frame (RFC 9113, section 4.1).
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	head := []byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}
	return string(binary.BigEndian.AppendUint32(head, stream)) + payload
}

// An HTTP/2 receiver that sends frames that belong to no response, before its answer or after it, is read no further
// either, and loses its connection.
func TestSend_ReadsNoMoreThanItsBoundsOfStrayFrames(t *testing.T) {
	t.Parallel()
	const (
		headers, settings, windowUpdate, unknown = 1, 4, 8, 0xbb
		endStream, endHeaders                    = 1, 4
	)
	answer := frame(headers, endStream|endHeaders, 1, "\x88") // :status 200
	delivered := Result{Verdict: Delivered, Status: 200, Detail: "HTTP 200"}
	for name, tt := range map[string]struct {
		head, piece string
		want        Result
	}{
		"unknown frames for an answer":    {"", frame(unknown, 0, 0, strings.Repeat("x", 16000)), Result{Detail: "invalid response"}},
		"window updates for an answer":    {"", frame(windowUpdate, 0, 0, "\x00\x00\x00\x01"), Result{Detail: "invalid response"}},
		"unknown frames after the answer": {answer, frame(unknown, 0, 0, strings.Repeat("x", 16000)), delivered},
		"headers after the answer":        {answer, frame(headers, endHeaders, 1, "\x88"), delivered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, s := rawHTTP2Receiver(t, func(conn net.Conn, _ int) {
				awaitRequest(conn)
				go hang(conn)
				forEver(conn, frame(settings, 0, 0, "")+tt.head, strings.Repeat(tt.piece, 1+4096/len(tt.piece)))
			})
			read := counting(s)
			if got := s.Send(t.Context(), url, "msg_1", []byte("{}")); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			if n := read.Load(); n > mostReadHTTP2 {
				t.Errorf("%d bytes were read, want %d at most", n, mostReadHTTP2)
			}
		})
	}
}

// rawHTTP2Receiver agrees on HTTP/2 and then serves its connections by hand, numbered from 1, once it has read what a
// client sends first. It returns a sender that trusts it. The test ends once serving has.
func rawHTTP2Receiver(t *testing.T, serve func(conn net.Conn, number int)) (string, *Sender) {
	t.Helper()
	config := new(tls.Config)
	_, s := tlsReceiver(t, config)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: config.Certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		s.transport.(*http.Transport).CloseIdleConnections()
		serving.Wait()
	})
	serving.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, len(http2Preface))); err == nil {
					serve(conn, number)
				}
			})
		}
	})
	return "https://" + listener.Addr().String() + "/", s
}

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// awaitRequest reads frames up to the next request's HEADERS, and reports whether there was one.
func awaitRequest(conn net.Conn) bool {
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(conn, head); err != nil {
			return false
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, conn, size); err != nil {
			return false
		}
		if head[3] == 1 {
			return true
		}
	}
}

// writeOn writes until nobody takes it any more.
func writeOn(w http.ResponseWriter, piece string) {
	out := bufio.NewWriterSize(w, len(piece))
	for {
		if _, err := out.WriteString(piece); err != nil {
			return
		}
	}
}
