package marksign

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, strings.Repeat("<p>", 10_000)+r.Method)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, server.URL, nil)
	for range 5 {
		c.Status(t.Context(), smartSession)
		c.Remove(t.Context(), smartSession)
	}
	if opened.Load() != 1 {
		t.Errorf("opened %d connections", opened.Load())
	}
}

// The server closes kept connections whenever it likes; a status request that
// meets this is no failure.
func TestStatus_OutlivesAKeptConnection(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 2 {
			abort()
		}
		_, _ = io.WriteString(w, `{"status":"waiting"}`)
	})
	c := newClient(t, base, nil)
	for range 2 {
		if got := c.Status(t.Context(), smartSession); got != (Answer{}) {
			t.Errorf("got %v", got)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("the server saw %d calls", calls.Load())
	}
}
