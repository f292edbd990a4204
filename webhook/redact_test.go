package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10v"}

// mustHide fails the test if any way of printing shows one of the canaries.
func mustHide(t *testing.T, value any, canaries ...string) {
	t.Helper()
	var printed []string
	for _, verb := range verbs {
		printed = append(printed, fmt.Sprintf(verb, value), fmt.Errorf("x: "+verb, value).Error())
	}
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("message", "value", value)
		printed = append(printed, out.String())
	}
	for _, text := range printed {
		for _, canary := range canaries {
			if strings.Contains(text, canary) {
				t.Errorf("%T prints %q in %q", value, canary, text)
			}
		}
	}
}

func TestPersonalData_IsNeverPrinted(t *testing.T) {
	t.Parallel()
	e := completedEvent()
	canaries := []string{"SURNAME", "30303039914", "A & B", "order-1842", "1c5cd62c"}
	for _, value := range []any{
		e, &e, e.Data, &e.Data, *e.Data.Person, e.Data.Person, *e.Data.Sanctions, e.Data.Sanctions,
	} {
		mustHide(t, value, canaries...)
	}
	mustHideInFmt := fmt.Sprintf("%+v %#v", []Event{e}, map[string]*Event{"e": &e})
	if strings.Contains(mustHideInFmt, "SURNAME") {
		t.Errorf("fmt prints a name inside a container: %s", mustHideInFmt)
	}
	if got := e.Data.String() + e.Data.Person.String() + e.Data.PEPs.String(); got != strings.Repeat(redacted, 3) {
		t.Errorf("String() = %q", got)
	}
}

func TestEvent_ShowsTypeAndTimeInLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("posted", "event", completedEvent())
	for _, want := range []string{`"type":"identification.completed"`, `"timestamp":"2026-11-21T20:51:03`, `"data":"[redacted]"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not in %s", want, out.String())
		}
	}
}

func TestKeys_AreNeverPrinted(t *testing.T) {
	t.Parallel()
	secret, key := NewSecret(), NewSigningKey()
	signer, err := NewSigner([]Secret{secret}, &key)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := NewSender(SenderConfig{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ secret, key any } // fmt cannot call the methods of what unexported fields hold
	type fields struct {
		secret Secret
		key    SigningKey
	}
	var canaries []string
	for _, raw := range [][]byte{secret.key(), key.key()} {
		canaries = append(canaries,
			base64.StdEncoding.EncodeToString(raw)[:16], hex.EncodeToString(raw[:8]), strings.ToUpper(hex.EncodeToString(raw[:8])),
			fmt.Sprintf("%d %d %d", raw[0], raw[1], raw[2]), fmt.Sprintf("%#x, %#x, %#x", raw[0], raw[1], raw[2]))
	}
	for _, value := range []any{
		secret, &secret, key, &key, signer, *signer, sender,
		SenderConfig{Signer: signer},
		Verifier{Secrets: []Secret{secret}},
		holder{secret, key},
		fields{secret, key},
		&fields{secret, key},
	} {
		mustHide(t, value, canaries...)
	}
	inJSON, err := json.Marshal([]any{secret, key})
	if err != nil || string(inJSON) != `["[redacted]","[redacted]"]` {
		t.Errorf("json.Marshal = %s, %v", inJSON, err)
	}
	if got := secret.String() + key.String(); got != redacted+redacted {
		t.Errorf("String() = %q", got)
	}
}
