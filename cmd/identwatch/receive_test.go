package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

const anEvent = `{"type":"identification.refused","timestamp":"2026-11-21T20:51:03.123Z","data":{"token":"token-1",` +
	`"reference":"","method":"smart_id","person":null,"peps":null,"sanctions":null,"certificate":null,` +
	`"error":{"code":40020,"reason":"refused","message":"User refused"}}}`

// postEvent posts a signed event and returns the status.
func postEvent(t *testing.T, url, body string, s *webhook.Signer) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	s.Sign(req.Header, "evt_1", time.Now(), []byte(body))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func signer(t *testing.T, secret string, signing *webhook.SigningKey) *webhook.Signer {
	t.Helper()
	var secrets []webhook.Secret
	if secret != "" {
		s, err := webhook.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	made, err := webhook.NewSigner(secrets, signing)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestReceive_VerifiesPrintsAndCounts(t *testing.T) {
	environmentOf(t, map[string]string{"WEBHOOK_SECRETS": key(32, 1)})
	p := start(t, nil, "receive", "--listen", "127.0.0.1:0", "--full")
	base := p.stdout.match(t, `receiver at (http://\S+): `)
	good, bad := signer(t, key(32, 1), nil), signer(t, key(32, 2), nil)
	for i, want := range []int{204, 204} {
		if got := postEvent(t, base+"/any/path", anEvent, good); got != want {
			t.Errorf("request %d: got %d", i+1, got)
		}
	}
	if got := postEvent(t, base, anEvent, bad); got != http.StatusUnauthorized {
		t.Errorf("a wrong signature: got %d", got)
	}
	for _, want := range []string{
		`evt_1  identification.refused  "token-1"  request 1, verified`, `request 2, verified`,
		`NOT verified: webhook: no signature matches; answered 401`, `"reason": "refused"`,
	} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("standard output lacks %s", want)
		}
	}
	var answer struct {
		Events  []receiver.Seen
		Refused int
	}
	getJSON(t, base+"/receiver/events", &answer)
	if len(answer.Events) != 1 || answer.Events[0].Count != 2 || answer.Events[0].Token != "token-1" || !answer.Events[0].Verified || answer.Refused != 1 {
		t.Errorf("got %+v", answer)
	}
}

func TestReceive_PlaysAFailingReceiverWithAPublicKey(t *testing.T) {
	environmentOf(t, nil)
	signing := webhook.NewSigningKey()
	p := start(t, nil, "receive", "--listen", "127.0.0.1:0", "--public-key", signing.Public().String(), "--answer", "503", "--delay", "50ms")
	base := p.stdout.match(t, `receiver at (http://\S+): `)
	began := time.Now()
	if got := postEvent(t, base, anEvent, signer(t, "", &signing)); got != 503 || time.Since(began) < 50*time.Millisecond {
		t.Errorf("got %d after %v", got, time.Since(began))
	}
	if strings.Contains(p.stdout.String(), "40020") {
		t.Error("it prints bodies without --full")
	}
}

func TestReceive_NeedsAKey(t *testing.T) {
	environmentOf(t, nil)
	if code, _, stderr := exec(t, "", "receive"); code != exitUsage || !strings.Contains(stderr, "WEBHOOK_SECRETS") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	environmentOf(t, map[string]string{"WEBHOOK_SECRETS": "geheim"})
	if code, _, stderr := exec(t, "", "receive"); code != exitUsage || !strings.Contains(stderr, "WEBHOOK_SECRETS: is wrong") || strings.Contains(stderr, "geheim") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// A page of another site may have its name lead to this machine.
func TestReceiveAndSimulate_AnswerUnderTheirOwnNamesAlone(t *testing.T) {
	environmentOf(t, map[string]string{"WEBHOOK_SECRETS": key(32, 1)})
	bases := []string{
		start(t, nil, "receive", "--listen", "127.0.0.1:0", "--host", "mine.example").stdout.match(t, `receiver at (http://\S+): `),
		start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--host", "mine.example").stdout.match(t, `simulated MarkSign at (http://\S+):`),
	}
	for i, path := range []string{"/receiver/events", "/simulator/sessions"} {
		for host, want := range map[string]int{"": 200, "localhost": 200, "mine.example:80": 200, "evil.example": 403} {
			req, err := http.NewRequest(http.MethodGet, bases[i]+path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s asked as %q: %d, want %d", path, host, res.StatusCode, want)
			}
		}
	}
}

func TestSecretFiles_ThatEverybodyCanReadAreWarnedOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(key(32, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o644: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		environmentOf(t, map[string]string{"WEBHOOK_SECRETS_FILE": file})
		p := start(t, nil, "receive", "--listen", "127.0.0.1:0")
		p.stdout.match(t, `receiver at`)
		if warned := strings.Contains(p.stderr.String(), "setting=WEBHOOK_SECRETS_FILE"); warned != want {
			t.Errorf("mode %v: warned is %t, %s", mode, warned, p.stderr.String())
		}
	}
}
