package webhook

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipeSender returns a sender with the transport of NewSender, whose connections lead to serve and not to the network,
// so that time can be virtual. Serve starts before the request is written, and the connection closes when it returns.
func pipeSender(t *testing.T, serve func(net.Conn)) *Sender {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	transport := newTransport(func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		serving.Go(func() {
			defer server.Close()
			serve(server)
		})
		return client, nil
	}, defaultTimeout, 1)
	return newTestSender(t, func(cfg *SenderConfig) { cfg.Transport = transport })
}

// afterRequest reads a whole request, then serves.
func afterRequest(serve func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		serve(conn)
	}
}

// trickle writes a byte a second until nobody reads any more.
func trickle(conn net.Conn) {
	for {
		if _, err := conn.Write([]byte("x")); err != nil {
			return
		}
		<-time.After(time.Second)
	}
}

// hang reads until the other side closes.
func hang(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func write(conn net.Conn, text string) { _, _ = io.WriteString(conn, text) }

func TestSend_IsOverWithinItsTimeout(t *testing.T) {
	t.Parallel()
	timedOut := Result{Detail: "timed out"}
	delivered := Result{Verdict: Delivered, Status: 200, Detail: "HTTP 200"}
	tests := []struct {
		name, url string
		serve     func(net.Conn)
		want      Result
		took      time.Duration
	}{
		{"nothing is read", "http://receiver.example/", func(net.Conn) { <-time.After(time.Minute) }, timedOut, 15 * time.Second},
		{"the handshake hangs", "https://receiver.example/", hang, timedOut, 15 * time.Second},
		{"no answer", "http://receiver.example/", hang, timedOut, 15 * time.Second},
		{"headers trickle", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 200 OK\r\nX: ")
			trickle(conn)
		}), timedOut, 15 * time.Second},
		{"body trickles", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
			trickle(conn)
		}), delivered, 15 * time.Second},
		{"body never comes", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 410 Gone\r\nContent-Length: 1\r\n\r\n")
			hang(conn)
		}), Result{Verdict: Gone, Status: 410, Detail: "HTTP 410"}, 15 * time.Second},
		{"answer at the last moment", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			<-time.After(15*time.Second - 1)
			write(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			hang(conn)
		}), delivered, 15*time.Second - 1},
		{"protocol switched, then silence", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			hang(conn)
		}), Result{Status: 101, Detail: "HTTP 101"}, 0},
		{"endless body", "http://receiver.example/", afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 200 OK\r\n\r\n")
			for _, err := conn.Write(make([]byte, 1024)); err == nil; _, err = conn.Write(make([]byte, 1024)) {
			}
		}), delivered, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := pipeSender(t, tt.serve)
				start := time.Now()
				got := s.Send(t.Context(), tt.url, "msg_1", []byte("{}"))
				if took := time.Since(start); got != tt.want || took != tt.took {
					t.Errorf("%+v after %s, want %+v after %s", got, took, tt.want, tt.took)
				}
			})
		})
	}
}

func TestSend_DialThatHangsIsOverWithinTheTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := newTransport(new(net.Dialer).DialContext, defaultTimeout, 1)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		s := newTestSender(t, func(cfg *SenderConfig) { cfg.Transport, cfg.Timeout = transport, 3*time.Second })
		start := time.Now()
		got := s.Send(t.Context(), "https://receiver.example/", "msg_1", nil)
		if took := time.Since(start); got != (Result{Detail: "timed out"}) || took != 3*time.Second {
			t.Errorf("%+v after %s, want timed out after 3 s", got, took)
		}
	})
}

func TestSend_HeedsItsContext(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(context.Context) (context.Context, context.CancelFunc)
		want Result
	}{
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(2*time.Second, cancel)
			return ctx, cancel
		}, Result{Cause: CauseHere, Detail: "canceled"}},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Second)
		}, Result{Detail: "timed out"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := pipeSender(t, hang)
				ctx, cancel := tt.end(t.Context())
				defer cancel()
				start := time.Now()
				got := s.Send(ctx, "http://receiver.example/", "msg_1", nil)
				if took := time.Since(start); got != tt.want || took != 2*time.Second {
					t.Errorf("%+v after %s, want %+v after 2 s", got, took, tt.want)
				}
			})
		})
	}
}

func TestSend_CancelAfterA2xxChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := pipeSender(t, afterRequest(func(conn net.Conn) {
			write(conn, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
			trickle(conn)
		}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		if got := s.Send(ctx, "http://receiver.example/", "msg_1", nil); got.Verdict != Delivered {
			t.Errorf("%+v, want it delivered", got)
		}
	})
}
