package service

import (
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/worker"
)

// workerPool is how many connections to Redis a worker may use at once.
const workerPool = "64"

func openWorkerRedis(rawURL config.Secret[string]) (redis.UniversalClient, error) {
	return tasks.OpenRedis(settings.WithSetting(rawURL.Reveal(), "pool_size", workerPool))
}

func workerOptions(cfg config.Serve, accounts []settings.Account, rdb redis.UniversalClient, log *slog.Logger) worker.Options {
	opts := worker.Options{
		Redis: rdb, Shards: cfg.Shards, OutcomeKeys: cfg.OutcomeKeys.Reveal(),
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
		opts.Accounts = append(opts.Accounts, accountOptions(a))
	}
	for _, step := range cfg.Pace {
		opts.Pace = append(opts.Pace, worker.PaceStep{From: step.From, Every: step.Every})
	}
	return opts
}

func accountOptions(a settings.Account) worker.Account {
	return worker.Account{
		Name: a.Name,
		MarkSign: worker.MarkSign{
			BaseURL: a.MarkSignURL, AccessToken: a.MarkSignAccessToken.Reveal(), Locale: a.MarkSignLocale,
		},
		Sender: a.Sender, CallbackURL: a.CallbackURL, CallbackHosts: a.CallbackHosts, TaskKeys: a.TaskKeys,
	}
}
