package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
)

// trusting is a desk whose accounts sign, and name hosts.
func trusting(t *testing.T, key tasks.PayloadKey) *desk {
	t.Helper()
	rdb, mini := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); mini.Close() })
	d := newDeskOn(t, rdb)
	a, err := New(Options{Redis: rdb, Accounts: []Account{{
		Name: "shop", Keys: [][32]byte{HashKey(d.keys["shop"])}, CallbackURL: callback, Sender: d.sender(),
		PayloadKey: key, CallbackHosts: []string{"*.shop.example"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	d.api = a
	return d
}

func TestCreate_SignsTheSessionsOfAnAccountWithAKey(t *testing.T) {
	t.Parallel()
	key := tasks.NewPayloadKey()
	d := trusting(t, key)
	if got := d.as("shop").do("POST", "/v1/sessions", aSession("a")); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := d.as("shop").do("POST", "/v1/sessions:batch", map[string]any{"sessions": []any{aSession("b")}}); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, token := range []string{"a", "b"} {
		info, err := asynq.NewInspectorFromRedisClient(d.rdb).GetTaskInfo(queue.Follow, "shop:"+token)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := queue.Decode(info.Payload); err != nil || !queue.IsSigned(f, key) {
			t.Errorf("%s: %s, %v", token, info.Payload, err)
		}
	}
}

func TestCreate_RefusesACallbackHostThatTheAccountDoesNotName(t *testing.T) {
	t.Parallel()
	d := trusting(t, tasks.PayloadKey{})
	for url, want := range map[string]int{
		"https://hooks.shop.example/": http.StatusAccepted, "https://shop.example/": http.StatusUnprocessableEntity,
		"https://thief.example/": http.StatusUnprocessableEntity, callback: http.StatusAccepted,
	} {
		s := aSession("t" + strings.ReplaceAll(strings.TrimPrefix(url, "https://"), "/", "-"))
		s["callback_url"] = url
		got := d.as("shop").do("POST", "/v1/sessions", s)
		if got.status != want || want != http.StatusAccepted && !strings.Contains(string(got.body), "CALLBACK_HOSTS") {
			t.Errorf("%s: %d %s", url, got.status, got.body)
		}
	}
}
