package demo

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestPage_IsElsewhereWhereItsPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := &demo{opts: Options{
		Listen: taken.Addr().String(), Elsewhere: true,
		Page: func(*Stage) (http.Handler, error) { return http.NotFoundHandler(), nil },
	}}
	p, err := d.openPage(t.Context(), discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close(t.Context())
	if line := p.line(); !strings.Contains(line, "("+taken.Addr().String()+" is taken)") || strings.Contains(line, taken.Addr().String()+"/") {
		t.Errorf("got %s", line)
	}
	if res, err := http.Get(p.server.URL()); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
}

func TestStage_RefusesWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	b := newBoard()
	s, err := openStack(t.Context(), b, discard)
	defer s.close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stage := newStage(t.Context(), s, b)
	part := parts(1)[0]
	part.Waits = true
	session, err := stage.Start(t.Context(), part)
	if err != nil || session.Note != "waits for you" {
		t.Fatalf("got %+v, %v", session, err)
	}
	if err := stage.PostNow(session.Token); !errors.Is(err, ErrNoAttempt) {
		t.Errorf("posting what does not wait: %v", err)
	}
	if err := stage.Decide(session.Token, WalkAway); err != nil {
		t.Error(err)
	}
	if err := stage.Decide(session.Token, Confirm); !errors.Is(err, ErrDecided) {
		t.Errorf("deciding again: %v", err)
	}
	if b.all()[0].Decided != WalkAway || Decision("dance").Valid() {
		t.Errorf("got %+v", b.all()[0])
	}
	for range maxSessions - 1 {
		b.mu.Lock()
		b.add(strings.Repeat("x", len(b.sessions)))
		b.mu.Unlock()
	}
	if _, err := stage.Start(t.Context(), part); !errors.Is(err, ErrFull) {
		t.Errorf("one more than a thousand: %v", err)
	}
}
