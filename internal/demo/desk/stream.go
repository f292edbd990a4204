package desk

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// heartbeat is how often a stream says that it is still there.
	heartbeat = 10 * time.Second
	// gather is how long changes are gathered before they go out.
	gather = 40 * time.Millisecond
	// takeTime is how long a client may take for what is written to it. It is cut
	// off then, and will come back by itself.
	takeTime = 10 * time.Second
)

// stream is one client's server-sent events. It begins with everything, or after a
// break with what the client does not know yet, and "ready"; then come changes.
type stream struct {
	*feed
	w  http.ResponseWriter
	rc *http.ResponseController

	version uint64 // up to which the client knows the feed
}

func (d *desk) serveStream(w http.ResponseWriter, r *http.Request) {
	s := &stream{feed: d.feed, w: w, rc: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if s.begin(r) != nil {
		return
	}
	s.follow(r.Context().Done(), d.stage.Ended())
}

// begin writes what the client does not know yet.
func (s *stream) begin(r *http.Request) error {
	known, resumes := s.known(r)
	s.version = known
	newer, _ := s.since(s.version)
	var out bytes.Buffer
	if !resumes {
		out.WriteString("event: reset\ndata: {}\n\n")
	}
	s.write(&out, newer)
	out.WriteString("event: ready\ndata: {}\n\n")
	return s.send(out.Bytes())
}

// known is the version that the client knows, which its browser or its script
// repeats from the last event's id.
func (s *stream) known(r *http.Request) (version uint64, resumes bool) {
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("last")
	}
	epoch, number, _ := strings.Cut(last, "-")
	version, err := strconv.ParseUint(number, 10, 64)
	if err != nil || epoch != s.epoch {
		return 0, false
	}
	return version, true
}

// follow writes changes until one of the channels is closed or the client is gone.
func (s *stream) follow(gone, ended <-chan struct{}) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		newer, changed := s.since(s.version)
		var out bytes.Buffer
		s.write(&out, newer)
		if out.Len() > 0 && s.send(out.Bytes()) != nil {
			return
		}
		select {
		case <-gone:
			return
		case <-ended:
			_ = s.send([]byte("event: end\ndata: {}\n\n"))
			return
		case <-beat.C:
			if s.send([]byte(": still here\n\n")) != nil {
				return
			}
		case <-changed:
			wait(gather, gone)
		}
	}
}

// write adds events to out, and takes them for known.
func (s *stream) write(out *bytes.Buffer, docs []document) {
	for _, d := range docs {
		fmt.Fprintf(out, "id: %s-%d\nevent: %s\ndata: %s\n\n", s.epoch, d.version, d.kind, d.data)
		s.version = d.version
	}
}

func (s *stream) send(text []byte) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(takeTime))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.rc.Flush()
}

// wait waits, but not for a client that is gone.
func wait(d time.Duration, gone <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
	}
}
