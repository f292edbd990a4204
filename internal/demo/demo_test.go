package demo

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

var discard = slog.New(slog.DiscardHandler)

func deliveryOf(body string) receiver.Delivery {
	header := http.Header{}
	header.Set(webhook.HeaderID, "evt_\x1b1")
	return receiver.Delivery{Header: header, Body: []byte(body)}
}

func TestRun_NamesWhatIsMissingWhenPatienceIsOver(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	err := Run(t.Context(), Options{Sessions: 2, Exit: true, Out: &out, Err: &log, Patience: 100 * time.Millisecond})
	if err == nil || strings.Count(err.Error(), "not removed") != 2 || !strings.Contains(err.Error(), "session 2 (") {
		t.Errorf("got %v", err)
	}
}

func TestLive_ShowsTheTableAndTheEventAboveIt(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	l := newLive(&out, false)
	posted := someRows()[2]
	d := deliveryOf(`{"type":"identification.failed"}`)
	d.Event.Type, d.Status = webhook.Failed, http.StatusNoContent
	l.show([]Change{{Step: Posted, Session: posted, Delivery: d}}, someRows())
	l.close()
	event := strings.Index(out.String(), "── #3  identification.failed ── signature verified ── answered 204 ──")
	head := strings.Index(out.String(), "PERSON")
	if event < 0 || head < event || !strings.HasSuffix(out.String(), "\x1b[?25h") {
		t.Errorf("got %s", out.String())
	}
	if strings.Contains(out.String(), "\x1b[32m") {
		t.Error("colours in spite of NO_COLOR")
	}
}

func TestBoard_AddsSessionsThatOthersStart(t *testing.T) {
	t.Parallel()
	b := newBoard()
	s, err := openStack(t.Context(), b, discard)
	defer s.close(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	app := &application{markSign: s.markSignURL(), accessToken: s.accessToken, tasks: s.tasks}
	p := parts(6)[5] // has no account, in a second
	started, err := app.start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.enqueue(t.Context(), Session{Number: 1, Token: started.Token, Method: string(p.Method), Checks: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); len(b.all()) == 0 || !b.all()[0].done(); {
		select {
		case <-deadline:
			t.Fatalf("not removed: %+v", b.all())
		case <-tick.C:
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := b.all()[0]
	if got.Token != started.Token || got.Person != "" || got.Method != "mobile_id" || got.Outcome != "failed: no_account" {
		t.Errorf("got %+v", got)
	}
}
