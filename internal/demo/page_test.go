package demo

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/demo/stage"
)

func TestPage_IsElsewhereWhereItsPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	on, err := stage.Open(t.Context(), discard)
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close(t.Context())
	p, err := openPage(t.Context(), on, Options{Listen: taken.Addr().String(), Elsewhere: true}, discard)
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
