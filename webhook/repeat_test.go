package webhook

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// twice posts twice over connections that serve serves, with time that is virtual, and returns how the second post
// ended and how many requests came.
func twice(t *testing.T, serve func(conn net.Conn, requests func() int)) (Result, int) {
	t.Helper()
	var posts atomic.Int32
	s := pipeSender(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		serve(conn, func() int { // reads a request and says which it is, of all; 0 is none
			req, err := http.ReadRequest(in)
			if err != nil {
				return 0
			}
			_, _ = io.Copy(io.Discard, req.Body)
			return int(posts.Add(1))
		})
	})
	if got := s.Send(t.Context(), "http://receiver.example/", "msg_1", []byte("{}")); got.Verdict != Delivered {
		t.Fatalf("first: %+v", got)
	}
	return s.Send(t.Context(), "http://receiver.example/", "msg_2", []byte("{}")), int(posts.Load())
}

const noContent = "HTTP/1.1 204 No Content\r\n\r\n"

// A receiver may close a kept connection in the moment in which it is used again. That is no failure of the receiver's,
// and costs no attempt. Everything else that can happen to a post does, because the receiver may have the event.
func TestSend_RepeatsAPostOnceIfAKeptConnectionWasClosedUnderIt(t *testing.T) {
	t.Parallel()
	delivered := Result{Verdict: Delivered, Status: 204, Detail: "HTTP 204"}
	closed := Result{Detail: "connection closed"}
	for name, tt := range map[string]struct {
		second func(net.Conn) // what becomes of the second request
		want   Result
		posts  int
	}{
		"closed at once":             {func(net.Conn) {}, delivered, 3},
		"closed after some work":     {func(net.Conn) { <-time.After(2 * time.Second) }, closed, 2},
		"closed within the answer":   {func(conn net.Conn) { write(conn, "HTTP/1.1 2") }, Result{Detail: "invalid response"}, 2},
		"answered with an error":     {func(conn net.Conn) { write(conn, "HTTP/1.1 500 Oh\r\n\r\n") }, Result{Status: 500, Detail: "HTTP 500"}, 2},
		"never answered, nor closed": {func(conn net.Conn) { hang(conn) }, Result{Detail: "timed out"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got, posts := twice(t, func(conn net.Conn, request func() int) {
					for n := request(); n > 0; n = request() {
						if n == 2 {
							tt.second(conn)
							return
						}
						write(conn, noContent)
					}
				})
				if got != tt.want || posts != tt.posts {
					t.Errorf("%+v after %d posts, want %+v after %d", got, posts, tt.want, tt.posts)
				}
			})
		})
	}
}

// A receiver that hangs up on every event gets it twice at an attempt at most, and from then on once.
func TestSend_RepeatsNoPostOnANewConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, posts := twice(t, func(conn net.Conn, request func() int) {
			if request() == 1 {
				write(conn, noContent)
				request()
			}
		})
		if want := (Result{Detail: "connection closed"}); got != want || posts != 3 {
			t.Errorf("%+v after %d posts, want %+v after 3", got, posts, want)
		}
	})
}

// Over real sockets: a connection that is reset, and one over HTTP/2.
func TestSend_RepeatsAPostAfterAReset(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	url := rawReceiver(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		first := conns.Add(1) == 1
		for n := 1; ; n++ {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if first && n == 2 { // with what is still unread, closing resets
				_ = conn.(*net.TCPConn).SetLinger(0)
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			write(conn, noContent)
		}
	})
	deliverTwice(t, newTestSender(t), url)
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestSend_RepeatsAPostOverHTTP2(t *testing.T) {
	t.Parallel()
	answer := func(stream uint32) string { return frame(1, 1|4, stream, "\x89") } // :status 204
	url, s := rawHTTP2Receiver(t, func(conn net.Conn, number int) {
		write(conn, frame(4, 0, 0, ""))
		if !awaitRequest(conn) {
			return
		}
		write(conn, answer(1))
		if awaitRequest(conn) && number > 1 {
			write(conn, answer(3))
		}
	})
	s.fresh = s.transport // which trusts the receiver
	deliverTwice(t, s, url)
}

func deliverTwice(t *testing.T, s *Sender, url string) {
	t.Helper()
	for _, id := range []string{"msg_1", "msg_2"} {
		if got := s.Send(t.Context(), url, id, []byte("{}")); got.Verdict != Delivered {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// The connection that a repeated post is made on is a new one, and is not kept.
func TestNewSender_RepeatsOnConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newTestSender(t)
	fresh, ok := s.fresh.(*http.Transport)
	if !ok || s.fresh == s.transport || !fresh.DisableKeepAlives {
		t.Fatalf("%T is not a transport of its own that keeps no connection", s.fresh)
	}
	if _, err := fresh.DialContext(context.Background(), "tcp", "10.0.0.1:443"); !isRefused(err) {
		t.Errorf("dialling a private address: %v, want it refused", err)
	}
}
