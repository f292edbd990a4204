package desk

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/demo"
)

// fixture is a demonstration that runs, and its page.
type fixture struct {
	url     string // without a slash at its end
	stage   *demo.Stage
	handler http.Handler
}

// run runs a demonstration with so many sessions until the test ends.
func run(t *testing.T, sessions int, opts Options) *fixture {
	t.Helper()
	f := &fixture{}
	said, say := io.Pipe()
	ctx, stop := context.WithCancel(context.Background()) // the page is closed before it ends
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, demo.Options{
			Sessions: sessions, Out: say, Err: io.Discard, Listen: "127.0.0.1:0",
			Page: func(s *demo.Stage) (http.Handler, error) {
				f.stage, f.handler = s, New(s, opts)
				return f.handler, nil
			},
		})
	}()
	found := make(chan string, 1)
	go watchFor(said, found)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demonstration ended with %v", err)
		}
	})
	select {
	case f.url = <-found:
	case <-time.After(time.Minute):
		t.Fatal("dev did not say where its page is")
	}
	return f
}

var pageLine = regexp.MustCompile(`page to try it on +(http://\S+)/`)

// watchFor reads all that dev says, and finds its page.
func watchFor(said io.Reader, found chan<- string) {
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if match := pageLine.FindStringSubmatch(lines.Text()); match != nil {
			found <- match[1]
		}
	}
}
