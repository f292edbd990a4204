package desk

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// events reads server-sent events until one of the given name, which is the last.
func events(t *testing.T, r *bufio.Reader, until string) (read []string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %s after %q: %v", until, read, err)
		}
		if line = strings.TrimSpace(line); line != "" {
			read = append(read, line)
		}
		if line == "event: "+until {
			return read
		}
	}
}

func openStream(t *testing.T, url, last string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/desk/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", last)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("got %s, %s", res.Status, got)
	}
	return bufio.NewReader(res.Body)
}

func TestStream_TellsAllAndThenWhatChanges(t *testing.T) {
	t.Parallel()
	f := run(t, 0, Options{})
	r := openStream(t, f.url, "")
	first := events(t, r, "ready")
	if first[0] != "event: reset" || !strings.Contains(strings.Join(first, "\n"), "event: conditions\ndata: {\"marksign\":\"well\",\"receiver\":\"well\"}") {
		t.Errorf("got %q", first)
	}
	post(t, f, "/desk/sessions", `{"person":"20101010001","method":"smart_id","checks":true,"waits":true}`)
	events(t, r, "session")
	happening := events(t, r, "happening")
	last := strings.TrimPrefix(happening[len(happening)-2], "id: ")

	post(t, f, "/desk/conditions", `{"marksign":"down"}`)
	resumed := strings.Join(events(t, openStream(t, f.url, last), "ready"), "\n")
	if strings.Contains(resumed, "reset") || strings.Contains(resumed, "event: happening\ndata: {\"number\":1,") ||
		!strings.Contains(resumed, `{"marksign":"down","receiver":"well"}`) {
		t.Errorf("after a break got %s", resumed)
	}
	for _, foreign := range []string{"OTHEREPO-3", "nonsense", last + "9x"} {
		if again := events(t, openStream(t, f.url, foreign), "ready"); again[0] != "event: reset" {
			t.Errorf("with the id %q got %q", foreign, again)
		}
	}
}

func TestStream_EndsWithTheDemonstration(t *testing.T) {
	t.Parallel()
	var stream io.ReadCloser
	t.Run("while it runs", func(t *testing.T) {
		f := run(t, 0, Options{})
		res, err := http.Get(f.url + "/desk/stream") //nolint:bodyclose // it is closed below
		if err != nil {
			t.Fatal(err)
		}
		stream = res.Body
	})
	if stream == nil {
		return
	}
	defer stream.Close()
	events(t, bufio.NewReader(stream), "end")
}

// recorder is a client that takes all that is written, and notes it.
type recorder struct {
	mu       sync.Mutex
	said     strings.Builder
	deadline time.Time
}

func (r *recorder) Header() http.Header { return http.Header{} }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Flush()              {}

func (r *recorder) SetWriteDeadline(at time.Time) error {
	r.deadline = at
	return nil
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.Write(p)
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

func TestStream_BeatsAndGathers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		client := &recorder{}
		s := &stream{feed: newFeed(), w: client, rc: http.NewResponseController(client)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.follow(ctx.Done(), nil)
		}()
		time.Sleep(3*heartbeat + time.Second)
		if beats := strings.Count(client.String(), ": still here\n\n"); beats != 3 {
			t.Errorf("%d heartbeats in 31 s, want 3", beats)
		}
		if left := time.Until(client.deadline); left > takeTime || left < 0 {
			t.Errorf("the client has %v to take it", left)
		}
		for i := range 1000 {
			s.put("session", "a", i)
		}
		time.Sleep(time.Second)
		if told := strings.Count(client.String(), "event: session"); told != 1 || !strings.Contains(client.String(), "data: 999\n") {
			t.Errorf("told %d times of a thousand changes of one moment", told)
		}
		leave()
		<-done
	})
}

// A client that reads nothing is in nobody's way: neither in that of what puts
// into the feed, nor in that of other clients.
func TestStream_ASlowClientHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFeed()
	d := &desk{feed: f, stage: run(t, 0, Options{}).stage}
	server := httptest.NewServer(http.HandlerFunc(d.serveStream))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	slow, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: desk\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	quick := openStream(t, server.URL, "")
	events(t, quick, "ready")
	big := strings.Repeat("x", 1<<20)
	began := time.Now()
	for i := range 8 {
		f.put("attempt", "big", big)
		f.put("session", "a", i)
		for !strings.Contains(strings.Join(events(t, quick, "session"), ""), big[:1000]) {
			t.Fatal("the quick client was told of the one and not of the other")
		}
	}
	if took := time.Since(began); took >= takeTime {
		t.Errorf("it took %v, until the slow client was cut off", took)
	}
}

// The desk is served with a limit on how long a request may take to be read.
func TestStream_OutlivesTheServersReadTimeout(t *testing.T) {
	t.Parallel()
	d := &desk{feed: newFeed(), stage: run(t, 0, Options{}).stage}
	server := httptest.NewUnstartedServer(http.HandlerFunc(d.serveStream))
	server.Config.ReadTimeout = 2 * time.Second // enough for the request itself on a busy machine
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r := openStream(t, server.URL, "")
	events(t, r, "ready")
	time.AfterFunc(3*time.Second, func() { d.feed.put("session", "a", 1) })
	events(t, r, "session")
}
