package settings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/webhook"
)

// Checks find the faults of the environment that only those see who act on it.
// [config.LoadServe] reports them together with all others.
var Checks = config.Checks{
	Service: []config.Check[config.Serve]{
		{
			Names: []string{"REDIS_URL"},
			Find:  func(cfg config.Serve) error { return CheckRedisURL(cfg.RedisURL) },
		},
		{
			Names: []string{"CALLBACK_ALLOW_NETWORKS"},
			Find: func(cfg config.Serve) error {
				_, err := newSender(cfg, throwawaySigner(), ClosedTo(cfg))
				return refused(err)
			},
		},
	},
	Account: []config.AccountCheck{
		{
			Names: []string{"WEBHOOK_SECRETS"},
			Find: func(_ config.Serve, a config.Account) error {
				secrets, err := ParseSecrets(a.WebhookSecrets.Reveal())
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
				sender, err := newSender(cfg, throwawaySigner(), ClosedTo(cfg))
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

// ParseSecrets reads the secrets that sign events. Its error names an item, and shows
// nothing of it.
func ParseSecrets(texts []string) ([]webhook.Secret, error) {
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
	secrets, err := ParseSecrets(a.WebhookSecrets.Reveal())
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

// ClosedTo is what callbacks never reach: Redis, and LISTEN.
func ClosedTo(cfg config.Serve) *closed.Addresses {
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
