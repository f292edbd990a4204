package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// serveChecks are the faults of the environment that only those see who act on
// it. They are reported together with all others.
var serveChecks = config.Checks{
	Service: []config.Check[config.Serve]{
		{
			Names: []string{"REDIS_URL"},
			Find:  func(cfg config.Serve) error { return checkRedisURL(cfg.RedisURL) },
		},
		{
			Names: []string{"CALLBACK_ALLOW_NETWORKS"},
			Find: func(cfg config.Serve) error {
				_, err := newSender(cfg, throwawaySigner(), closedTo(cfg))
				return refused(err)
			},
		},
	},
	Account: []config.AccountCheck{
		{
			Names: []string{"WEBHOOK_SECRETS"},
			Find: func(_ config.Serve, a config.Account) error {
				secrets, err := parseSecrets(a.WebhookSecrets.Reveal())
				if err == nil {
					_, err = webhook.NewSigner(secrets, nil)
				}
				return refused(err)
			},
		},
		{
			Names: []string{"WEBHOOK_SIGNING_KEY"},
			Find: func(_ config.Serve, a config.Account) error {
				_, err := webhook.ParseSigningKey(a.WebhookSigningKey.Reveal())
				return refused(err)
			},
		},
		{
			Names: []string{"CALLBACK_HOSTS"},
			Find: func(_ config.Serve, a config.Account) error {
				_, err := hostlist.Parse(a.CallbackHosts)
				return refused(err)
			},
		},
		{
			Names: []string{"CALLBACK_URL", "CALLBACK_ALLOW_HTTP", "CALLBACK_ALLOW_NETWORKS"},
			Find: func(cfg config.Serve, a config.Account) error {
				sender, err := newSender(cfg, throwawaySigner(), closedTo(cfg))
				if err != nil {
					return nil // it is a fault of the networks, and reported so
				}
				return refused(sender.CheckURL(a.CallbackURL))
			},
		},
	},
}

// refused makes a fault of an error of package webhook.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return errors.New("is refused: " + strings.TrimPrefix(err.Error(), "webhook: "))
}

// throwawaySigner is for a sender that is asked and never sends.
func throwawaySigner() *webhook.Signer {
	key := webhook.NewSigningKey()
	signer, err := webhook.NewSigner(nil, &key)
	if err != nil {
		return nil // NewSender then says so
	}
	return signer
}

func parseSecrets(texts []string) ([]webhook.Secret, error) {
	secrets := make([]webhook.Secret, 0, len(texts))
	for i, text := range texts {
		secret, err := webhook.ParseSecret(text)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// newSigner also returns the public key of the signing key, the zero one where
// there is none.
func newSigner(a config.Account) (*webhook.Signer, webhook.PublicKey, error) {
	secrets, err := parseSecrets(a.WebhookSecrets.Reveal())
	if err != nil {
		return nil, webhook.PublicKey{}, err
	}
	text := a.WebhookSigningKey.Reveal()
	if text == "" {
		signer, err := webhook.NewSigner(secrets, nil)
		return signer, webhook.PublicKey{}, err
	}
	key, err := webhook.ParseSigningKey(text)
	if err != nil {
		return nil, webhook.PublicKey{}, err
	}
	signer, err := webhook.NewSigner(secrets, &key)
	return signer, key.Public(), err
}

// closedTo is what callbacks never reach: Redis, and LISTEN.
func closedTo(cfg config.Serve) *closed.Addresses {
	addresses := new(closed.Addresses)
	addresses.Redis(cfg.RedisURL.Reveal())
	addresses.Listen(cfg.Listen)
	return addresses
}

func newSender(cfg config.Serve, signer *webhook.Signer, shut *closed.Addresses) (*webhook.Sender, error) {
	return webhook.NewSender(webhook.SenderConfig{
		Signer:        signer,
		AllowHTTP:     cfg.CallbackAllowHTTP,
		AllowNetworks: cfg.CallbackAllowNetworks,
		Closed:        shut.Contain,
		Timeout:       cfg.DeliveryTimeout,
		MaxConns:      2 * cfg.DeliveryConcurrency, // first posts, and as many repeated ones
	})
}

// workerPool is how many connections to Redis a worker may use at once.
const workerPool = "64"

func openWorkerRedis(rawURL config.Secret[string]) (redis.UniversalClient, error) {
	return tasks.OpenRedis(withSetting(rawURL.Reveal(), "pool_size", workerPool))
}

func workerOptions(cfg config.Serve, accounts []account, rdb redis.UniversalClient, log *slog.Logger) worker.Options {
	opts := worker.Options{
		Redis: rdb, OutcomeKeys: cfg.OutcomeKeys.Reveal(),
		PollRate: cfg.PollRate, PollWorkers: cfg.PollWorkers, FollowLimit: cfg.FollowLimit,
		Lease: cfg.Lease, SessionTimeout: cfg.SessionTimeout,
		DeliveryWindow: cfg.DeliveryWindow, DeliveryTimeout: cfg.DeliveryTimeout,
		DeliveryConcurrency: cfg.DeliveryConcurrency, RedeliveryWindow: cfg.RedeliveryWindow,
		ShutdownTimeout: cfg.ShutdownTimeout, Logger: log,
	}
	if cfg.RedeliveryWindow == 0 {
		opts.RedeliveryWindow = -1 // there 0 is the default, and negative erases at once
	}
	for _, a := range accounts {
		opts.Accounts = append(opts.Accounts, a.options())
	}
	for _, step := range cfg.Pace {
		opts.Pace = append(opts.Pace, worker.PaceStep{From: step.From, Every: step.Every})
	}
	return opts
}

func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
