package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/webhook"
)

// askCallback posts one signed test event.
func (a Account) askCallback(ctx context.Context, skip bool) finding {
	if a.CallbackURL == "" {
		return finding{Skipped, "there is no CALLBACK_URL, so each session must name its own", ""}
	}
	if err := a.Sender.CheckURL(a.CallbackURL); err != nil {
		return finding{Failed, strings.TrimPrefix(err.Error(), "webhook: "), "correct CALLBACK_URL, or see CALLBACK_ALLOW_HTTP and CALLBACK_ALLOW_NETWORKS"}
	}
	where := address.HostOf(a.CallbackURL)
	if skip {
		return finding{Skipped, "nothing was posted to " + where + ", for --no-callback was given", ""}
	}
	body, err := webhook.NewTestEvent(time.Now()).Marshal()
	if err != nil {
		return finding{Failed, err.Error(), defect}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	result := a.Sender.Send(ctx, a.CallbackURL, newTestID(), body)
	took := brief(time.Since(began))
	switch {
	case result.Verdict == webhook.Delivered:
		return finding{OK, where + " took a test event in " + took + ": " + result.Detail, ""}
	case result.Status != 0:
		return finding{Failed, where + " answered in " + took + ": " + result.Detail, adviceOn(result)}
	}
	return finding{Failed, where + ": " + result.Detail + " after " + took, adviceOn(result)}
}

// defect is the advice where nobody but us can do something.
const defect = "this is a defect in identwatch: please report it"

// refusals say what to do about what a receiver answers.
var refusals = map[int]string{
	http.StatusUnauthorized:     "give the receiver this account's WEBHOOK_SECRETS or public key, and set its clock",
	http.StatusForbidden:        "give the receiver this account's WEBHOOK_SECRETS or public key, and let it take requests from here",
	http.StatusNotFound:         "correct CALLBACK_URL: the receiver has no such path",
	http.StatusMethodNotAllowed: "correct CALLBACK_URL: the receiver takes no POST there",
	http.StatusGone:             "correct CALLBACK_URL, or the receiver: after a 410 an event is not posted again",
}

// troubles say what to do if there was no answer.
var troubles = map[string]string{
	webhook.DetailAddress: "name the receiver's network in CALLBACK_ALLOW_NETWORKS, if it is yours; else correct CALLBACK_URL",
	webhook.DetailClosed:  "correct CALLBACK_URL: cloud metadata, Redis and this service itself are no receivers",
	webhook.DetailName:    "correct CALLBACK_URL, or the DNS of this machine",
	"TLS failure":         "give the receiver a certificate that is valid for its name",
	"timed out":           "let the receiver answer at once, and work later; see that no firewall is in between",
}

// adviceOn says what to do about a test event that was not taken.
func adviceOn(r webhook.Result) string {
	switch {
	case refusals[r.Status] != "":
		return refusals[r.Status]
	case r.Status >= 300 && r.Status < 400:
		return "write into CALLBACK_URL where the receiver is: redirects are not followed"
	case r.Status != 0:
		return "see the receiver's log: it must answer 2xx, to types of events that it does not know too"
	}
	return cmp.Or(troubles[r.Detail], "see that the receiver runs, that CALLBACK_URL says where, and that this machine reaches it")
}

// newTestID makes a webhook-id, another one each time.
func newTestID() string { return "evt_test_" + strings.ToLower(rand.Text()) }

// verifyOwn signs a test event as the service does, and verifies it as receivers
// do, with each of the keys alone.
func (a Account) verifyOwn() finding {
	body, err := webhook.NewTestEvent(time.Now()).Marshal()
	if err != nil {
		return finding{Failed, err.Error(), defect}
	}
	id, header := newTestID(), http.Header{}
	a.Signer.Sign(header, id, time.Now(), body)
	for i, verifier := range a.verifiers() {
		r := &http.Request{Header: header, Body: io.NopCloser(bytes.NewReader(body))}
		got, event, err := verifier.Request(r)
		if err == nil && (got != id || event.Type != webhook.Test) {
			err = webhook.ErrEvent
		}
		if err != nil {
			return finding{Failed, fmt.Sprintf("what is signed does not verify with key %d: %s", i+1, strings.TrimPrefix(err.Error(), "webhook: ")), defect}
		}
	}
	return finding{OK, "what is signed verifies with " + a.keys(), ""}
}

// verifiers are receivers that have one of the keys each.
func (a Account) verifiers() (all []webhook.Verifier) {
	for _, secret := range a.Secrets {
		all = append(all, webhook.Verifier{Secrets: []webhook.Secret{secret}})
	}
	if a.PublicKey != (webhook.PublicKey{}) {
		all = append(all, webhook.Verifier{PublicKeys: []webhook.PublicKey{a.PublicKey}})
	}
	return all
}

// keys says what receivers may verify with.
func (a Account) keys() string {
	var parts []string
	switch n := len(a.Secrets); n {
	case 0:
	case 1:
		parts = append(parts, "the secret")
	default:
		parts = append(parts, fmt.Sprintf("each of the %d secrets", n))
	}
	if a.PublicKey != (webhook.PublicKey{}) {
		parts = append(parts, "the public key")
	}
	return strings.Join(parts, ", and with ")
}
