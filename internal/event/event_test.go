package event

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

func TestEventID_IsAFunctionOfTheSessionAlone(t *testing.T) {
	t.Parallel()
	const pinned = "evt_268a6efb4cc99a8b4dccc4e5a1463b66" // a release that changes it breaks every receiver's deduplication
	if got := ID("default:a"); got != pinned || got == ID("default:b") {
		t.Errorf("the id is %s", got)
	}
}

func TestIdentifiedResult_DropsNothingThatMarkSignSent(t *testing.T) {
	t.Parallel()
	s := session.Job{Token: "a", Method: session.MobileID, Checks: []session.Check{session.PEPs, session.Sanctions}}
	r, err := Ending{s, 3, time.Now()}.identified(&marksign.Identity{
		Code: "1", PEPs: json.RawMessage(`"odd"`), Sanctions: json.RawMessage(`[1]`), Upstream: json.RawMessage(`{"status":"ok","new":{"a":[1]}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	event, err := webhook.Parse(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var upstream map[string]json.RawMessage
	if err := json.Unmarshal(event.Data.Upstream, &upstream); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"status": `"ok"`, "new": `{"a":[1]}`, "peps_data": `"odd"`, "sanctions_data": `[1]`} {
		if string(upstream[name]) != want {
			t.Errorf("upstream.%s is %s, want %s", name, upstream[name], want)
		}
	}
	if event.Data.PEPs.Result != webhook.Unknown || event.Data.Sanctions.Result != webhook.Unknown {
		t.Errorf("the checks: %s, %s", event.Data.PEPs.Result, event.Data.Sanctions.Result)
	}
}

func TestUpstream_OfNothingIsNothing(t *testing.T) {
	t.Parallel()
	for _, nothing := range []string{"", "null", "[]", "{}", " [ ] "} {
		id := &marksign.Identity{PEPs: json.RawMessage(nothing)}
		if got := upstream(id, webhook.NewCheck(id.PEPs, false), webhook.NewCheck(nil, false)); got != nil {
			t.Errorf("%q becomes %s", nothing, got)
		}
	}
}

func TestReasons_OfOurOwnAreThoseOfPackageWebhook(t *testing.T) {
	t.Parallel()
	for reason, message := range ownMessages {
		if !slices.Contains(webhook.Reasons(), reason) || message == "" {
			t.Errorf("%q says %q", reason, message)
		}
	}
}
