package docs

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/webhook"
)

// TestEvent_IsOneThatIdentwatchPosts reads the sample, and writes it again.
func TestEvent_IsOneThatIdentwatchPosts(t *testing.T) {
	t.Parallel()
	sample := blocks(t, "json")[0]
	event, err := webhook.Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if event.Type != webhook.Completed || event.Data.PEPs.Result != webhook.Clear || event.Data.Sanctions.Result != webhook.Hit {
		t.Errorf("the sample is %+v", event.Type)
	}
	written, err := event.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if json.Unmarshal([]byte(sample), &want) != nil || json.Unmarshal(written, &got) != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("identwatch would post %s", written)
	}
}

// The reasons that are sent are those of package webhook: the packages that send
// them have tests of that.
func TestReasons_AreAllThatReceiversCanGet(t *testing.T) {
	t.Parallel()
	_, list, _ := strings.Cut(prose(t), "- `reason` is one of ")
	list, _, _ = strings.Cut(list, "\n- ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1) {
		listed[m[1]] = true
	}
	known := map[string]bool{}
	for _, reason := range webhook.Reasons() {
		known[reason] = true
	}
	if !reflect.DeepEqual(listed, known) {
		t.Errorf("README.md lists %v\nreceivers get   %v", listed, known)
	}
}
