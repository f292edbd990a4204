package httpd

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestServer_LetsRequestsUnderWayFinish(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get(s.URL())
		if err == nil {
			res.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	s.Stop(t.Context(), 10*time.Second)
	if err := <-answered; err != nil {
		t.Errorf("the request under way got %v", err)
	}
	if s.Err() != nil {
		t.Errorf("a server that was stopped says %v", s.Err())
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("it still listens")
	}
}

func TestServer_CutsOffWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get(s.URL())
		if err == nil {
			res.Body.Close()
		}
		answered <- err
	}()
	<-arrived
	s.Stop(t.Context(), 10*time.Millisecond)
	if err := <-answered; err == nil {
		t.Error("the request that never ends was answered")
	}
}

func TestServer_KeepsTheTextOfAPanicOutOfTheLog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said bytes.Buffer
	write := writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	})
	s, err := Start(t.Context(), Options{
		Addr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(write, nil)),
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("of MARKED")) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.Get(s.URL()); err == nil {
		res.Body.Close()
		t.Errorf("a request whose handler panicked got %s", res.Status)
	}
	s.Stop(t.Context(), time.Second)
	mu.Lock()
	defer mu.Unlock()
	for text, want := range map[string]bool{"MARKED": false, "a defect in identwatch": true, "*errors.errorString": true, "httpd_test.go": true} {
		if strings.Contains(said.String(), text) != want {
			t.Errorf("the log has %q: %t\n%s", text, !want, said.String())
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestServer_SaysWhyItEndedByItself(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), Options{Addr: "127.0.0.1:0", Handler: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Err() != nil {
		t.Errorf("a server that serves says %v", s.Err())
	}
	s.listener.Close()
	<-s.Done()
	if s.Err() == nil {
		t.Error("a server whose listener is gone says nothing")
	}
	s.Stop(t.Context(), time.Second) // which must not hang
}

func TestStart_FailsWhereTheAddressIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Start(t.Context(), Options{Addr: taken.Addr().String(), Handler: http.NotFoundHandler()}); err == nil {
		t.Error("got a server on a taken address")
	}
}

func TestReachable_IsAnAddressToDial(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "[::1]:8080",
		"localhost:1": "localhost:1", "10.0.0.1:80": "10.0.0.1:80",
	} {
		if got := Reachable(listen); got != want {
			t.Errorf("%s: got %s, want %s", listen, got, want)
		}
	}
}
