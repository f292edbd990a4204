// Command receiver takes events of identwatch, and keeps them until its worker, which is the same program run as
// `receiver work`, has handled them. Either may be killed at any moment.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

func main() {
	in, err := openInbox(cmp.Or(os.Getenv("INBOX"), "inbox"))
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 2 && os.Args[1] == "work" {
		log.Fatal(work(in))
	}
	verifier, err := newVerifier(os.Getenv("WEBHOOK_SECRETS"), os.Getenv("WEBHOOK_PUBLIC_KEYS"))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/identwatch", receive(verifier, in)) // other methods get 405
	server := &http.Server{
		Addr:              "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8091"), // behind the proxy that does TLS
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

// newVerifier reads lists with commas: shared secrets (v1 signatures), public keys (v1a), or both.
func newVerifier(secrets, publicKeys string) (webhook.Verifier, error) {
	var v webhook.Verifier // a tolerance of five minutes
	for _, text := range list(secrets) {
		secret, err := webhook.ParseSecret(text)
		if err != nil {
			return v, fmt.Errorf("WEBHOOK_SECRETS: %w", err)
		}
		v.Secrets = append(v.Secrets, secret)
	}
	for _, text := range list(publicKeys) {
		key, err := webhook.ParsePublicKey(text)
		if err != nil {
			return v, fmt.Errorf("WEBHOOK_PUBLIC_KEYS: %w", err)
		}
		v.PublicKeys = append(v.PublicKeys, key)
	}
	if len(v.Secrets)+len(v.PublicKeys) == 0 {
		return v, errors.New("set WEBHOOK_SECRETS or WEBHOOK_PUBLIC_KEYS")
	}
	return v, nil
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// receive answers 204 once the event is on disk, and does nothing else: identwatch waits for 15 seconds at most.
func receive(verifier webhook.Verifier, in inbox) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhook.MaxBody))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		if err := verifier.Verify(r.Header, body); err != nil {
			log.Print("refused: ", err) // a header, the age or the signature; it quotes nothing of the request
			http.Error(w, "refused", http.StatusUnauthorized)
			return
		}
		id := r.Header.Get(webhook.HeaderID)
		isNew, err := in.store(id, body)
		if err != nil {
			log.Print("cannot store an event: ", err)
			http.Error(w, "later", http.StatusInternalServerError) // it is posted again
			return
		}
		if isNew {
			log.Print("stored ", id) //nolint:gosec // identwatch signed it
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
