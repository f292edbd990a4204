package service

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/monitor"
	"github.com/identwatch/identwatch/internal/settings"
)

// newRegistry makes a registry that tells of the process too.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// pages is everything that is served on LISTEN.
func (s *Service) pages(stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", probes(stopping, s.stands))
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.Handle("/v1/", s.api)
	mux.Handle("/docs/", s.api)
	if s.monitor != nil {
		mux.Handle(monitor.Path, s.monitor)
	}
	return mux
}

// newAPI makes the HTTP API, or what says how to turn it on if no account has a key.
func newAPI(cfg config.Serve, accounts []settings.Account, rdb redis.UniversalClient, metrics prometheus.Registerer, log *slog.Logger) (http.Handler, error) {
	var users []api.Account
	for _, a := range accounts {
		users = append(users, api.Account{
			Name: a.Name, Keys: a.APIKeys.Reveal(), CallbackURL: a.CallbackURL, Sender: a.Sender,
			CallbackHosts: a.CallbackHosts, PayloadKey: settings.SigningKey(a.TaskKeys),
		})
	}
	if !api.Enabled(users) {
		return api.Off(), nil
	}
	return api.New(api.Options{
		Accounts: users, Redis: rdb, Shards: cfg.Shards, DeliveryTimeout: cfg.DeliveryTimeout, Rate: cfg.APIRate,
		MaxSessions: cfg.MaxSessions, Log: log, Metrics: metrics,
	})
}

// newMonitor makes the page that shows the queues, or nil where the configuration
// names no password for it.
func newMonitor(cfg config.Serve, rdb redis.UniversalClient, metrics prometheus.Registerer, log *slog.Logger) http.Handler {
	password := cfg.MonitorPassword.Reveal()
	if password == "" {
		return nil
	}
	return monitor.New(monitor.Options{Redis: rdb, User: cfg.MonitorUser, Password: password, Write: cfg.MonitorWrite, Log: log, Metrics: metrics})
}
