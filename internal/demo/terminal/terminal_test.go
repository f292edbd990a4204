package terminal

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/demo/stage"
	"github.com/identwatch/identwatch/webhook"
)

func TestLive_ShowsTheTableAndTheEventAboveIt(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	l := newLive(&out, false)
	posted := someRows()[2]
	d := deliveryOf(`{"type":"identification.failed"}`)
	d.Event.Type, d.Status = webhook.Failed, http.StatusNoContent
	l.show([]stage.Change{{Step: stage.Posted, Session: posted, Delivery: d}}, someRows())
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
