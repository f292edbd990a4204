package main

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestAnswer_PrintsWhatCouldNotBeUsed(t *testing.T) {
	server := redistest.Start(t)
	key := bytes.Repeat([]byte{7}, outcome.KeySize)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL(), "OUTCOME_KEYS": base64.StdEncoding.EncodeToString(key)})
	ring, err := outcome.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	store := outcome.NewStore(outcome.Config{Redis: server.Client(), Keyring: ring, SessionTimeout: time.Hour, DeliveryWindow: time.Hour})
	session := outcome.Session{ID: "default:a", Retention: time.Hour}
	if _, err := store.Follow(t.Context(), session, "w", outcome.Evidence{}); err != nil {
		t.Fatal(err)
	}
	const sent = "{\"status\":\"ok\",\"token\":\"other\"}\n"
	if change, err := store.NoteUnusable(t.Context(), session, "w", "ok for another token", []byte(sent)); err != nil || !change.Applied {
		t.Fatal(err)
	}
	try := func(args ...string) (code int, stdout, stderr string) {
		return exec(t, "", append([]string{"answer"}, args...)...)
	}
	if code, stdout, stderr := try("a"); code != exitDone || stdout != sent || stderr != "" {
		t.Errorf("exit %d, %q, %s", code, stdout, stderr)
	}
	if code, stdout, stderr := try("b"); code != exitFailed || stdout != "" || !strings.Contains(stderr, "account default: no answer is kept") {
		t.Errorf("none is kept: exit %d, %q, %s", code, stdout, stderr)
	}
	if code, _, stderr := try("--account", "Shop", "a"); code != exitUsage || !strings.Contains(stderr, "--account") {
		t.Errorf("no account: exit %d, %s", code, stderr)
	}
	t.Setenv("OUTCOME_KEYS", base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{8}, outcome.KeySize)))
	if code, stdout, stderr := try("a"); code != exitFailed || stdout != "" || !strings.Contains(stderr, "a key that is not among the outcome keys") {
		t.Errorf("another key: exit %d, %q, %s", code, stdout, stderr)
	}
	t.Setenv("OUTCOME_KEYS", "")
	if code, _, stderr := try("a"); code != exitUsage || !strings.Contains(stderr, "OUTCOME_KEYS") {
		t.Errorf("no key: exit %d, %s", code, stderr)
	}
}
