//go:build unix

package main

import (
	"errors"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/identwatch/identwatch/internal/redistest"
)

// tokenFile sets MARKSIGN_ACCESS_TOKEN_FILE, and returns what writes the file as
// operators do: a new one takes the old one's place.
func tokenFile(t *testing.T, variable, text string) (write func(text string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	write = func(text string) {
		if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	t.Setenv(strings.TrimSuffix(variable, "_FILE"), "")
	t.Setenv(variable, path)
	return write
}

// TestServe_ReadsTheAccessTokenAgainOnSIGHUP begins with a token that MarkSign
// rejects. The account waits, says so, and goes on once the file is right.
func TestServe_ReadsTheAccessTokenAgainOnSIGHUP(t *testing.T) {
	catch := make(chan os.Signal, 1)
	signal.Notify(catch, syscall.SIGHUP) // for what reaches this process before serve listens
	defer signal.Stop(catch)
	redis := redistest.Start(t, "--appendonly", "yes")
	tokens := filepath.Join(t.TempDir(), "tokens.txt")
	w := newWorld(t, redis.URL(), "--sessions", "5", "--sessions-file", tokens, "--confirm-between", "500ms,2s")
	write := tokenFile(t, "MARKSIGN_ACCESS_TOKEN_FILE", "not-the-token")
	serve, base := startServe(t)
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	for _, s := range w.sessions(t) {
		if code, _, stderr := exec(t, "", "enqueue", "--", s.Token); code != exitDone {
			t.Fatalf("enqueue: exit %d, %s", code, stderr)
		}
	}
	const detail = `"details":["MarkSign rejects the access token of account default; its sessions wait"]`
	eventually(t, "the rejection in /readyz", func() bool {
		_, body := get(t, base+"/readyz")
		return strings.Contains(body, detail)
	})
	eventually(t, "the rejection in /metrics", func() bool {
		_, body := get(t, base+"/metrics")
		return strings.Contains(body, `identwatch_account_rejected{account="default"} 1`)
	})
	write("access-token-1\n")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	serve.stderr.match(t, `(reading the access tokens again)`)
	eventually(t, "removal of all sessions", func() bool { return w.allRemoved(t) })
	if _, body := get(t, base+"/readyz"); strings.Contains(body, "details") {
		t.Errorf("in the end: %s", body)
	}
	if log := serve.stderr.String(); strings.Contains(log, "not-the-token") || strings.Contains(log, "access-token-1") {
		t.Errorf("the log shows a token:\n%s", log)
	}
}

// TestServe_TwoAccountsAreApart has one MarkSign each, of which one rejects the
// token: the other's sessions do not wait for it.
func TestServe_TwoAccountsAreApart(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes")
	files := []string{filepath.Join(t.TempDir(), "shop.txt"), filepath.Join(t.TempDir(), "crm.txt")}
	shop := newWorld(t, redis.URL(), "--sessions", "5", "--sessions-file", files[0], "--confirm-between", "500ms,1s")
	crm := newWorld(t, redis.URL(), "--sessions", "5", "--sessions-file", files[1], "--confirm-between", "500ms,1s")
	variables := map[string]string{
		"ACCOUNTS": "shop,crm", "MARKSIGN_ACCESS_TOKEN": "", "MARKSIGN_URL": "", "CALLBACK_URL": "", "WEBHOOK_SECRETS": "",
		"SHOP_MARKSIGN_URL": shop.simulator, "SHOP_CALLBACK_URL": shop.receiver + "/", "SHOP_MARKSIGN_ACCESS_TOKEN": "access-token-1",
		"CRM_MARKSIGN_URL": crm.simulator, "CRM_CALLBACK_URL": crm.receiver + "/", "CRM_MARKSIGN_ACCESS_TOKEN": "not-the-token",
		"SHOP_WEBHOOK_SECRETS": "whsec_" + key(32, 1), "CRM_WEBHOOK_SECRETS": "whsec_" + key(32, 3),
	}
	for name, value := range maps.All(variables) {
		t.Setenv(name, value)
	}
	_, base := startServe(t)
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	for account, w := range map[string]world{"shop": shop, "crm": crm} {
		for _, s := range w.sessions(t) {
			if code, _, stderr := exec(t, "", "enqueue", "--account", account, "--", s.Token); code != exitDone {
				t.Fatalf("enqueue: exit %d, %s", code, stderr)
			}
		}
	}
	if code, _, stderr := exec(t, "", "enqueue", "token"); code != exitUsage || !strings.Contains(stderr, "say which, shop or crm") {
		t.Errorf("enqueue without an account: exit %d, %s", code, stderr)
	}
	eventually(t, "removal of shop's sessions", func() bool { return shop.allRemoved(t) })
	events, _ := shop.events(t)
	others, _ := crm.events(t)
	if len(events) != 5 || len(others) != 0 {
		t.Errorf("shop got %d events, crm %d, want 5 and none", len(events), len(others))
	}
	eventually(t, "crm in /readyz", func() bool {
		_, body := get(t, base+"/readyz")
		return strings.Contains(body, `{"ready":true,"details":["MarkSign rejects the access token of account crm; its sessions wait"]}`)
	})
}
