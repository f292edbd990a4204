package desk

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/internal/httpd"
)

// fixture is a demonstration that runs, and its page.
type fixture struct {
	url     string // without a slash at its end
	stage   *stage.Stage
	handler http.Handler
}

// run runs a demonstration with so many sessions until the test ends.
func run(t *testing.T, sessions int, opts Options) *fixture {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // the streams end before the page is closed
	on, err := stage.Open(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		stop()
		t.Fatal(err)
	}
	f := &fixture{stage: on, handler: New(on, opts)}
	server, err := httpd.Start(ctx, httpd.Options{Addr: "127.0.0.1:0", Handler: f.handler})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	f.url = server.URL()
	on.CloseToCallbacks(server.Addr())
	ended := make(chan error, 1)
	go func() { ended <- on.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demonstration ended with %v", err)
		}
		server.Stop(ctx, time.Second)
		on.Close(ctx)
	})
	for _, part := range stage.Parts(sessions) {
		if _, err := on.Start(ctx, part); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
