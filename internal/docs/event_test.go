package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// TestReasons_AreAllThatTheCodeKnows looks the reasons up where they are defined.
func TestReasons_AreAllThatTheCodeKnows(t *testing.T) {
	t.Parallel()
	_, list, _ := strings.Cut(prose(t), "- `reason` is one of ")
	list, _, _ = strings.Cut(list, "\n- ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1) {
		listed[m[1]] = true
	}
	known := map[string]bool{}
	for file, pattern := range map[string]string{
		"internal/marksign/answers.go": `(?:Failed|Refused|Expired|NotFound|CertificateTimeout), "([a-z_]+)"`,
		"internal/marksign/status.go":  `Verdict: (?:Failed|Refused|Expired), Reason: "([a-z_]+)"`,
		"worker/event.go":              `\breason[A-Z]\w* += "([a-z_]+)"`,
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("no reason in %s", file)
		}
		for _, m := range found {
			known[string(m[1])] = true
		}
	}
	if !reflect.DeepEqual(listed, known) {
		t.Errorf("README.md lists %v\nthe code knows   %v", listed, known)
	}
}
