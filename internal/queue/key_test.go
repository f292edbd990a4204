package queue

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/session"
)

// decoded is the payload of a task as a worker reads it.
func decoded(t *testing.T, task *asynq.Task, err error) session.Job {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Decode(task.Payload())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPayloadKey_SignsEveryTaskOfASession(t *testing.T) {
	t.Parallel()
	key, other := NewPayloadKey(), NewPayloadKey()
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		task, err := NewFollowTask(Sign(retained(randomSession(random), time.Hour), key))
		f := decoded(t, task, err)
		task, err = NewDeliverTask(f)
		delivery := decoded(t, task, err)
		task, err = NewRemoveTask(delivery)
		removal := decoded(t, task, err)
		task, err = NewFollowTask(removal)
		for _, f := range []session.Job{f, delivery, removal, decoded(t, task, err)} {
			if !IsSigned(f, other, key) || IsSigned(f, other) || IsSigned(f) || IsSigned(f, PayloadKey{}) {
				t.Fatalf("signed with the key %v, with another %v: %s", IsSigned(f, key), IsSigned(f, other), task.Payload())
			}
		}
	}
}

func TestPayloadKey_CoversEveryField(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	s := valid()
	s.Checks = []session.Check{session.PEPs}
	task, err := NewFollowTask(Sign(retained(s, 2*time.Hour), key))
	if !IsSigned(decoded(t, task, err), key) {
		t.Fatal("the task is not signed")
	}
	var fields map[string]any
	if err := json.Unmarshal(task.Payload(), &fields); err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]any{
		"token": "another", "method": "mobile_id", "locale": "lt", "callback_url": "https://thief.example/", "reference": "another",
		"checks": []string{"peps", "sanctions"}, "started_at": "2020-01-01T00:00:00Z", "account": "another", "retention_s": 3601, "signature": "",
	} {
		if fields[name] == nil {
			t.Errorf("the payload has no %s", name)
		}
		data, err := json.Marshal(with2(fields, name, changed))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := Decode(data); err != nil || IsSigned(f, key) {
			t.Errorf("%s may be changed: %v", name, err)
		}
	}
	if len(fields) != 11 { // those above and the version
		t.Errorf("the payload has other fields: %v", fields)
	}
}

func with2(fields map[string]any, name string, value any) map[string]any {
	changed := map[string]any{name: value}
	for other, v := range fields {
		if other != name {
			changed[other] = v
		}
	}
	return changed
}

// No two payloads have the same bytes to sign, however their fields are cut.
func TestPayloadKey_IsNotDeceivedByOtherCuts(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	for _, pair := range [][2]session.Job{
		{{Token: "ab", Account: "c"}, {Token: "b", Account: "ca"}},
		{{CallbackURL: "https://a/", Reference: "b"}, {CallbackURL: "https://a/b"}},
		{{Checks: []session.Check{session.PEPs, session.Sanctions}}, {Checks: []session.Check{"pepssanctions"}}},
		{{Reference: "1"}, {Locale: "1"}},
	} {
		if signature(pair[0], key) == signature(pair[1], key) {
			t.Errorf("%+v and %+v have one signature", pair[0], pair[1])
		}
	}
}

func TestPayloadKey_UnsignedPayloadsAreWhatTheReleaseBeforeReads(t *testing.T) {
	t.Parallel()
	for want, key := range map[string]PayloadKey{`"v":1`: {}, `"v":2`: NewPayloadKey()} {
		task, err := NewFollowTask(Sign(retained(valid(), time.Hour), key))
		if err != nil || !bytes.Contains(task.Payload(), []byte(want)) || bytes.Contains(task.Payload(), []byte("signature")) == key.IsZero() {
			t.Errorf("%s, %v, want %s", task.Payload(), err, want)
		}
	}
}

func TestPayloadKey_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	again, err := ParsePayloadKey(key.Encode())
	f := Sign(valid(), key)
	if err != nil || !IsSigned(f, again) {
		t.Errorf("read again it verifies nothing: %v", err)
	}
	encoded := strings.TrimPrefix(key.Encode(), keyPrefix)
	for _, text := range []string{"", keyPrefix, encoded, "whsec_" + encoded, keyPrefix + encoded[4:], key.Encode() + "=", keyPrefix + strings.Repeat("A", 43) + "="} {
		if _, err := ParsePayloadKey(text); err == nil || text != "" && strings.Contains(err.Error(), encoded[4:]) {
			t.Errorf("%.10s…: %v", text, err)
		}
	}
}

func TestPayloadKey_PrintsRedacted(t *testing.T) {
	t.Parallel()
	type holder struct{ key PayloadKey }
	key := NewPayloadKey()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "within", holder{key})
	data, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(data)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%p"} {
		shown = append(shown, fmt.Sprintf(verb, key), fmt.Sprintf(verb, holder{key}))
	}
	text := strings.Join(shown, "\n")
	for _, form := range []string{key.Encode()[8:20], hex.EncodeToString(key.bytes()[:6]), fmt.Sprintf("%d %d %d", key.bytes()[0], key.bytes()[1], key.bytes()[2])} {
		if strings.Contains(text, form) {
			t.Errorf("it shows %q in %s", form, text)
		}
	}
}
