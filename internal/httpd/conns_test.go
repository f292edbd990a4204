package httpd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"
)

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func isClosed(t *testing.T, conn net.Conn) bool {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func ask(t *testing.T, conn net.Conn, path string) int {
	t.Helper()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func TestConns_ANewOneTakesThePlaceOfTheLongestIdle(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/hold", func(http.ResponseWriter, *http.Request) { close(held); <-release })
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", Handler: mux, maxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(t.Context(), time.Second) })
	working := dial(t, s)
	answered := make(chan int, 1)
	go func() { answered <- ask(t, working, "/hold") }()
	<-held
	half := dial(t, s) // never ends its header
	fmt.Fprint(half, "GET / HTTP/1.1\r\nHost:")
	idle := dial(t, s)
	if got := ask(t, idle, "/"); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	if got := ask(t, dial(t, s), "/"); got != http.StatusOK || !isClosed(t, half) {
		t.Errorf("one more gets %d, and the one that never asks is open", got)
	}
	if got := ask(t, dial(t, s), "/"); got != http.StatusOK || !isClosed(t, idle) {
		t.Errorf("one more gets %d, and the idle one is open", got)
	}
	close(release)
	if got := <-answered; got != http.StatusOK {
		t.Errorf("the request under way gets %d", got)
	}
	if n := s.conns.count(); n > 3 {
		t.Errorf("%d connections are open", n)
	}
}

func TestConns_WhenAllWorkANewOneIsClosed(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}, 2), make(chan struct{})
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", maxConns: 2, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		held <- struct{}{}
		<-release
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(t.Context(), time.Second) })
	for range 2 {
		fmt.Fprint(dial(t, s), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-held
	}
	if !isClosed(t, dial(t, s)) {
		t.Error("a third is open")
	}
	close(release)
}

func TestConns_AnAnsweredRequestWhoseBodyNeverEndsKeepsNoPlace(t *testing.T) {
	t.Parallel()
	handled := make(chan struct{}, 3)
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", maxConns: 2, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized) // before a byte of the body is read
		handled <- struct{}{}
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(t.Context(), time.Second) })
	for range 2 {
		fmt.Fprint(dial(t, s), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
		<-handled
	}
	for s.conns.places() < 2 {
		if s.conns.count() < 2 {
			t.Fatal("they kept their places until their time was over")
		}
		runtime.Gosched()
	}
	if got := ask(t, dial(t, s), "/"); got != http.StatusUnauthorized {
		t.Errorf("a third gets %d", got)
	}
}

// places is how many connections a new one can take the place of.
func (c *conns) places() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting.Len()
}

// farConn is a connection from an address.
type farConn struct {
	net.Conn
	from   string
	closed bool
}

func (f *farConn) RemoteAddr() net.Addr { return farAddr(f.from) }

func (f *farConn) Close() error { f.closed = true; return nil }

type farAddr string

func (farAddr) Network() string  { return "tcp" }
func (a farAddr) String() string { return string(a) }

func TestConns_AClientWithMostOfThemLocksOutNobodyElse(t *testing.T) {
	t.Parallel()
	c := newConns(4, slog.New(slog.DiscardHandler))
	arrive := func(from string) *farConn {
		conn := &farConn{from: from}
		c.changed(conn, http.StateNew)
		c.work(conn)
		return conn
	}
	greedy := []*farConn{
		arrive("[2001:db8::1]:1"), arrive("[2001:db8::2]:1"), arrive("[2001:db8::3]:1"), arrive("[2001:db8::4]:1"), arrive("[2001:db8::5]:1"),
	}
	if !greedy[4].closed {
		t.Error("it got a fifth")
	}
	others := []*farConn{arrive("192.0.2.1:1"), arrive("[::ffff:192.0.2.2]:1")}
	cut := 0
	for _, conn := range greedy[:4] {
		if conn.closed {
			cut++
		}
	}
	if others[0].closed || others[1].closed || cut != 2 || c.count() != 4 {
		t.Errorf("others are locked out, or %d of the first are closed, and %d are open", cut, c.count())
	}
	if late := arrive("192.0.2.3:1"); !late.closed {
		t.Error("a client with half of them lost one")
	}
}

func TestMaxConns_IsAShareOfTheFiles(t *testing.T) {
	t.Parallel()
	for files, want := range map[int]int{0: 4096, 20: 8, 256: 64, 1024: 256, 1 << 20: 4096} {
		if got := MaxConns(files); got != want {
			t.Errorf("of %d files: %d, want %d", files, got, want)
		}
	}
}

func TestOwnNames_RefuseTheNamesOfSites(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listen, host string
		want         bool
	}{
		{"127.0.0.1:8091", "127.0.0.1:8091", true},
		{"127.0.0.1:8091", "localhost:8091", true},
		{"127.0.0.1:8091", "LOCALHOST", true},
		{"[::1]:8091", "[::1]:8091", true},
		{"127.0.0.1:8091", "host.test:8091", true}, // named
		{"127.0.0.1:8091", "evil.example:8091", false},
		{"127.0.0.1:8091", "127.0.0.1.evil.example", false},
		{"127.0.0.1:8091", "receiver:8091", false},
		{"127.0.0.1:8091", "192.168.1.7:8091", false},
		{"127.0.0.1:8091", "", false},
		{":8091", "receiver:8091", true},
		{":8091", "192.168.1.7:8091", true},
		{"0.0.0.0:8091", "[fd00::1]:8091", true},
		{":8091", "evil.example:8091", false},
		{":8091", "receiver.", false},
		{":8091", "", false},
	} {
		r, err := http.NewRequest(http.MethodGet, "/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		asked := false
		h := OwnNames(test.listen, []string{"host.test"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if asked != test.want || !asked && rec.Code != http.StatusForbidden {
			t.Errorf("%s asked as %q: %t, %d", test.listen, test.host, asked, rec.Code)
		}
	}
}
