package marksign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/freeport"
)

func TestStatus_RedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	got := newClient(t, base, nil).Status(t.Context(), smartSession)
	if got != temporary("HTTP 307 redirect, not followed") || calls.Load() != 1 {
		t.Errorf("got %v after %d calls", got, calls.Load())
	}
}

func TestStatus_BodiesThatDoNotArrive(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		detail  string
	}{
		"less than its length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, `{"status":"waiting"}`)
		}, "answer cut short"},
		"chunks without an end": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"waiting"}`)
			_ = http.NewResponseController(w).Flush()
			abort()
		}, "answer cut short"},
		"nothing at all": {func(http.ResponseWriter, *http.Request) { abort() }, "connection closed"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1<<16))
			}
		}, "answer over 8 MiB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, tt.handler)
			c := newClient(t, base, nil)
			if got := c.Status(t.Context(), smartSession); got != temporary(tt.detail) {
				t.Errorf("got %v, want %s", got, tt.detail)
			}
			if got := c.Remove(t.Context(), smartSession); got != (RemoveAnswer{Detail: tt.detail}) {
				t.Errorf("got %+v, want %s", got, tt.detail)
			}
		})
	}
}

func TestStatus_ConnectionFailures(t *testing.T) {
	t.Parallel()
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	t.Cleanup(secure.Close)
	tests := map[string]struct{ base, detail string }{
		"nobody listens":        {"http://" + freeport.Addr(t), "connection refused"},
		"plain HTTP for https":  {strings.Replace(plain, "http:", "https:", 1), "TLS failure"},
		"certificate of nobody": {secure.URL, "TLS failure"},
		"reset":                 {"http://" + resetting(t), "connection reset"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := newClient(t, tt.base, nil).Status(t.Context(), smartSession); got != temporary(tt.detail) {
				t.Errorf("got %v, want %s", got, tt.detail)
			}
		})
	}
}

func TestTransportFault(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"name not resolved":   &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsTimeout: true}},
		"timed out":           &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded},
		"connection reset":    &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)},
		"network unreachable": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)},
		"connection closed":   fmt.Errorf("wrapped: %w", io.EOF),
		"transport failure":   errors.New("something else"),
	} {
		if got := transportFault(t.Context(), err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// resetting is the address of a server that resets what connects.
func resetting(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // closed with data unread and no linger, it is reset
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// hang answers when the request's context ends.
func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestStatus_EndsWithItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, start := newClient(t, "http://marksign.test", roundTrip(hang)), time.Now()
		if got := c.Status(t.Context(), smartSession); got != temporary("timed out") {
			t.Errorf("got %v", got)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestStatus_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, start := newClient(t, "http://marksign.test", roundTrip(hang)), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := c.Status(ctx, smartSession); got != temporary("timed out") || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", got, time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if got := c.Remove(ctx, smartSession); got.Detail != "canceled" || got.Verdict != RemoveTemporary {
			t.Errorf("got %+v", got)
		}
	})
}

// A server that sends a header and half a body, and then nothing, over the
// client's own transport.
func TestStatus_BodyThatHangsTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := newTransport(0)
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				_, _ = far.Read(make([]byte, 4096))
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"status\"")
				_, _ = io.Copy(io.Discard, far)
			}()
			return near, nil
		}
		c, start := newClient(t, "http://marksign.test", transport), time.Now()
		if got := c.Status(t.Context(), smartSession); got != temporary("timed out") {
			t.Errorf("got %v", got)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
