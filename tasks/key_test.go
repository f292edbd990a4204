package tasks

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
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// decoded is the payload of a task as a worker reads it.
func decoded(t *testing.T, task *asynq.Task, err error) Followed {
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
		task, err := NewSignedFollowTask(key, randomSession(random), 0)
		f := decoded(t, task, err)
		task, err = NewDeliverTask(f)
		delivery := decoded(t, task, err)
		task, err = NewRemoveTask(delivery)
		removal := decoded(t, task, err)
		task, err = NewFollowTaskAgain(removal)
		for _, f := range []Followed{f, delivery, removal, decoded(t, task, err)} {
			if !f.SignedWith(other, key) || f.SignedWith(other) || f.SignedWith() || f.SignedWith(PayloadKey{}) {
				t.Fatalf("signed with the key %v, with another %v: %s", f.SignedWith(key), f.SignedWith(other), task.Payload())
			}
		}
	}
}

func TestPayloadKey_CoversEveryField(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	s := valid()
	s.Checks = []Check{PEPs}
	task, err := NewSignedFollowTask(key, s, 2*time.Hour)
	if !decoded(t, task, err).SignedWith(key) {
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
		if f, err := Decode(data); err != nil || f.SignedWith(key) {
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
	for _, pair := range [][2]Session{
		{{Token: "ab", Account: "c"}, {Token: "b", Account: "ca"}},
		{{CallbackURL: "https://a/", Reference: "b"}, {CallbackURL: "https://a/b"}},
		{{Checks: []Check{PEPs, Sanctions}}, {Checks: []Check{"pepssanctions"}}},
		{{Reference: "1"}, {Locale: "1"}},
	} {
		if key.sign(Followed{Session: pair[0]}) == key.sign(Followed{Session: pair[1]}) {
			t.Errorf("%+v and %+v have one signature", pair[0], pair[1])
		}
	}
}

func TestPayloadKey_UnsignedPayloadsAreWhatTheReleaseBeforeReads(t *testing.T) {
	t.Parallel()
	for want, key := range map[string]PayloadKey{`"v":1`: {}, `"v":2`: NewPayloadKey()} {
		task, err := NewSignedFollowTask(key, valid(), 0)
		if err != nil || !bytes.Contains(task.Payload(), []byte(want)) || bytes.Contains(task.Payload(), []byte("signature")) == key.IsZero() {
			t.Errorf("%s, %v, want %s", task.Payload(), err, want)
		}
	}
}

func TestPayloadKey_IsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	key := NewPayloadKey()
	again, err := ParsePayloadKey(key.Encode())
	f := Followed{Session: valid()}
	f.signature = key.sign(f)
	if err != nil || !f.SignedWith(again) {
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
	key := NewPayloadKey()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "config", ClientConfig{PayloadKey: key})
	data, err := json.Marshal(map[string]any{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(data)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%p"} {
		shown = append(shown, fmt.Sprintf(verb, key), fmt.Sprintf(verb, ClientConfig{PayloadKey: key}), fmt.Sprintf(verb, Client{key: key}))
	}
	text := strings.Join(shown, "\n")
	for _, form := range []string{key.Encode()[8:20], hex.EncodeToString(key.bytes()[:6]), fmt.Sprintf("%d %d %d", key.bytes()[0], key.bytes()[1], key.bytes()[2])} {
		if strings.Contains(text, form) {
			t.Errorf("it shows %q in %s", form, text)
		}
	}
}

func TestEnqueue_SignsWithItsKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		key := NewPayloadKey()
		client, err := NewClient(ClientConfig{Redis: rdb, PayloadKey: key, Account: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		s := valid()
		s.Account = ""
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		s.Account = "shop"
		if f, err := Decode(state(t, rdb, s).Payload); err != nil || !f.SignedWith(key) {
			t.Errorf("got %+v, %v", f, err)
		}
	})
}
