package webhook_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// A receiver is an ordinary handler. It answers 2xx once the event is stored, or was before; everything else is tried
// again later.
func ExampleVerifier_Request() {
	secret := webhook.NewSecret() // in earnest: webhook.ParseSecret of what the sender is configured with
	verifier := webhook.Verifier{Secrets: []webhook.Secret{secret}}
	seen := map[string]bool{} // in earnest: a unique column beside what is stored

	handler := func(w http.ResponseWriter, r *http.Request) {
		id, event, err := verifier.Request(r)
		if err != nil {
			slog.Warn("callback refused", "error", err)
			http.Error(w, "refused", http.StatusBadRequest)
			return
		}
		if seen[id] {
			return // delivered before: acknowledge it again
		}
		switch event.Type {
		case webhook.Completed:
			cleared := event.Data.PEPs.Result == webhook.Clear && event.Data.Sanctions.Result == webhook.Clear
			fmt.Println(event.Data.Reference, "is identified, cleared:", cleared)
		case webhook.Refused, webhook.Expired, webhook.Failed:
			fmt.Println(event.Data.Reference, "is not identified:", event.Data.Error.Reason)
		}
		seen[id] = true
	}

	signer, err := webhook.NewSigner([]webhook.Secret{secret}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"type":"identification.completed","timestamp":"2026-11-21T20:51:03.123Z","data":{` +
		`"token":"1c5cd62c","reference":"order-1842","method":"smart_id",` +
		`"person":{"name":"NAME","surname":"SURNAME","code":"30303039914","country":"LT"},` +
		`"peps":{"result":"clear","records":[]},"sanctions":{"result":"unknown","records":[]},` +
		`"certificate":null,"error":null}}`)
	for range 2 { // the same event twice: the second is a duplicate
		r := httptest.NewRequest(http.MethodPost, "/callback", bytes.NewReader(body))
		signer.Sign(r.Header, "msg_1", time.Now(), body)
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Println(w.Code)
	}
	_, _, err = verifier.Request(httptest.NewRequest(http.MethodPost, "/callback", bytes.NewReader(body)))
	fmt.Println(errors.Is(err, webhook.ErrNoSignature))
	// Output:
	// order-1842 is identified, cleared: false
	// 200
	// 200
	// true
}

// The signature of the official libraries' own example.
func ExampleSign() {
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		fmt.Println(err)
		return
	}
	body := []byte(`{"test": 2432232314}`)
	fmt.Println(webhook.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body))
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}
