package marksign

import (
	"slices"
	"testing"

	"github.com/identwatch/identwatch/webhook"
)

// What can end a session has a constant that receivers branch on, and every
// constant is sent: those of identwatch's own ends by package worker.
func TestReasons_AreThoseOfPackageWebhook(t *testing.T) {
	t.Parallel()
	sent := []string{
		webhook.ReasonDeadline, webhook.ReasonUnavailable, webhook.ReasonInternal,
		statusOf(t, respond(200, `{"status":"canceled"}`)).Reason,
		statusOf(t, respond(200, `{"status":"ok"}`)).Reason,
		statusOf(t, respond(200, errorBody(40999))).Reason,
	}
	for _, m := range meanings {
		if m.verdict != Temporary && m.verdict != Rejected { // these end no session
			sent = append(sent, m.reason)
		}
	}
	known := webhook.Reasons()
	slices.Sort(sent)
	slices.Sort(known)
	if !slices.Equal(slices.Compact(sent), known) {
		t.Errorf("sent are %v, and receivers know %v", sent, known)
	}
}
