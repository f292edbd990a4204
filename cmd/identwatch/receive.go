package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/webhook"
)

// receiveFlags are the flags as they were given.
type receiveFlags struct {
	listen     string
	publicKeys []string
	hosts      []string
	full       bool
	answer     int
	delay      time.Duration
}

func newReceive() *cobra.Command {
	var flags receiveFlags
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Run a receiver that verifies and prints events, for development",
		Long: `receive takes every POST for an event, verifies its signature and prints a line:
the time, the webhook-id, the type, the session's token, which request of this
event it is, and whether the signature is right. It answers 204, and 401 where the
signature is not right.

With --full it prints the bodies, which hold personal data: use it with invented
persons alone. GET /receiver/events tells as JSON how often each event came.`,
		Example: `  WEBHOOK_SECRETS=whsec_... identwatch receive
  identwatch receive --public-key whpk_... --full
  identwatch receive --answer 503 --delay 5s`,
		Args: cobra.NoArgs,
		Annotations: map[string]string{environment: `  WEBHOOK_SECRETS or WEBHOOK_SECRETS_FILE
        what events are signed with, as the service has it (not needed with --public-key)
`},
		RunE: func(cmd *cobra.Command, _ []string) error { return runReceive(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&flags.hosts, "host", nil, "another `name` under which it is asked, beside its addresses; may be repeated")
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8091", "`host:port` to listen on")
	f.StringSliceVar(&flags.publicKeys, "public-key", nil, "`key` that events are signed with, whpk_..., as serve logs it at its start; may be repeated")
	f.BoolVar(&flags.full, "full", false, "print the bodies, personal data and all")
	f.IntVar(&flags.answer, "answer", http.StatusNoContent, "HTTP `status` to events whose signature is right")
	f.DurationVar(&flags.delay, "delay", 0, "time before every answer")
	return cmd
}

// verifier takes the keys of the environment and of the flags.
func (f receiveFlags) verifier() (webhook.Verifier, error) {
	cfg, err := config.LoadReceive()
	if err != nil {
		return webhook.Verifier{}, err
	}
	secrets, err := settings.ParseSecrets(cfg.WebhookSecrets.Reveal())
	if err != nil {
		return webhook.Verifier{}, usagef("WEBHOOK_SECRETS: %w", err)
	}
	v := webhook.Verifier{Secrets: secrets}
	for _, text := range f.publicKeys {
		key, err := webhook.ParsePublicKey(text)
		if err != nil {
			return v, usagef("--public-key: %w", err)
		}
		v.PublicKeys = append(v.PublicKeys, key)
	}
	if len(v.Secrets) == 0 && len(v.PublicKeys) == 0 {
		return v, usagef("nothing to verify with: set WEBHOOK_SECRETS as the service has it, or give --public-key")
	}
	return v, nil
}

func runReceive(cmd *cobra.Command, flags receiveFlags) error {
	if flags.answer < 200 || flags.answer > 599 || flags.delay < 0 {
		return usagef("--answer is 200 to 599, and --delay is not negative")
	}
	verifier, err := flags.verifier()
	if err != nil {
		return err
	}
	warnOfExposedFiles(newLogger(cmd.ErrOrStderr(), slog.LevelWarn, "text"))
	printer := &deliveryPrinter{&printer{out: cmd.OutOrStdout()}, flags.full}
	r := receiver.New(receiver.Options{
		Verifier: verifier, OnDelivery: printer.print,
		Conduct: receiver.Conduct{Answer: flags.answer, Delay: flags.delay},
	})
	server, err := httpd.Start(cmd.Context(), httpd.Options{
		Addr: flags.listen, Handler: httpd.OwnNames(flags.listen, flags.hosts, r.WithReport()),
	})
	if err != nil {
		return fmt.Errorf("opening --listen: %w", err)
	}
	defer server.Stop(cmd.Context(), time.Second)
	printer.say("receiver at %s: post events to any path\n", server.URL())
	select {
	case <-cmd.Context().Done():
		return nil
	case <-server.Done():
		return server.Err()
	}
}

// deliveryPrinter prints a line for each request.
type deliveryPrinter struct {
	*printer
	full bool
}

// print trusts nothing of a request that was not verified.
func (p *deliveryPrinter) print(d receiver.Delivery) {
	at := d.At.Format("15:04:05.000")
	if d.Fault != nil {
		p.say("%s  %s: %v; answered %d\n", at, d.Verdict(), d.Fault, d.Status)
		return
	}
	line := fmt.Sprintf("%s  %s  %s  %q  request %d, %s\n", at, d.ID, d.Event.Type, d.Event.Data.Token, d.Count, d.Verdict())
	var body bytes.Buffer
	if p.full && json.Indent(&body, d.Body, "", "  ") == nil {
		line += body.String() + "\n"
	}
	p.say("%s", line)
}
