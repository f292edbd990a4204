package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/system"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

func newServe() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the service: follow sessions, post events, remove sessions",
		Long: `serve follows the sessions that applications enqueue. Any number of processes on
any number of machines share the work through one Redis (version 7 or later, or
Valkey).

It answers on LISTEN: /healthz (200 while the process lives), /readyz (200 when it
follows sessions, else 503 with the reasons), /metrics, with API_KEYS the HTTP API
/v1 and its documentation /docs, and with MONITOR_PASSWORD the queues at /monitor.

While Redis cannot be reached it waits. On SIGTERM it finishes the posts under way
and hands every other session to the other processes; a second signal ends it at
once. On SIGHUP, and when they change, it reads the files again that hold access
tokens.

Exit codes: 0 stopped by a signal, 1 failed at run time, 2 wrong configuration.`,
		Example: `  REDIS_URL=redis://localhost:6379/0 \
  MARKSIGN_ACCESS_TOKEN_FILE=/run/secrets/marksign \
  WEBHOOK_SECRETS_FILE=/run/secrets/webhook \
  OUTCOME_KEYS_FILE=/run/secrets/outcome \
  CALLBACK_URL=https://example.com/webhooks/identwatch \
  identwatch serve`,
		Args:        cobra.NoArgs,
		Annotations: readsEnvironment(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadServe(serveChecks)
			if err != nil {
				return err
			}
			log := newLogger(cmd.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat)
			logUnknown(log)
			s, err := newService(cfg, log)
			if err != nil {
				return usageError{err}
			}
			return s.run(cmd.Context())
		},
	}
}

// service is one process of `identwatch serve`.
type service struct {
	listen   string
	shut     *closed.Addresses // to callbacks
	log      *slog.Logger
	redis    redis.UniversalClient
	worker   *worker.Worker
	accounts []account
	metrics  *prometheus.Registry
	api      http.Handler // says how to turn the API on if no account has a key
	monitor  http.Handler // of the queues; nil where there is no password for it
	found    atomic.Bool  // Redis was found fit
	// connections is how many the worker may have open, with a few files more.
	connections int
}

// otherFiles are what a process has open beside connections to MarkSign and
// receivers: those to Redis, of the pool and of asynq's own, and its own files.
const otherFiles = 100

// connectionsOf is the most that the settings allow the worker to have open.
func connectionsOf(cfg config.Serve) int {
	ofAccount := cfg.PollWorkers + 2*cfg.DeliveryConcurrency
	return len(cfg.Accounts)*ofAccount + otherFiles
}

// warnOfExposedFiles logs the settings whose secret everybody can read.
func warnOfExposedFiles(log *slog.Logger, accounts ...string) {
	for _, name := range config.ExposedFiles(accounts...) {
		log.Warn("everybody on this machine can read or change the file of a secret: chmod 600 it, or give it to the group of this user alone", "setting", name)
	}
}

// newService puts the parts together. It connects to nothing.
func newService(cfg config.Serve, log *slog.Logger) (*service, error) {
	shut := closedTo(cfg)
	accounts, err := newAccounts(cfg, shut)
	if err != nil {
		return nil, err
	}
	rdb, err := openWorkerRedis(cfg.RedisURL)
	if err != nil {
		return nil, err
	}
	rdb.AddHook(shut.Hook())
	metrics := newRegistry()
	opts := workerOptions(cfg, accounts, rdb, log)
	opts.Metrics = metrics
	w, err := worker.New(opts)
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	api, err := newAPI(cfg, accounts, rdb, metrics, log)
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	return &service{
		listen: cfg.Listen, shut: shut, log: log, redis: rdb, worker: w, accounts: accounts, metrics: metrics,
		api: api, monitor: newMonitor(cfg, rdb, metrics, log), connections: connectionsOf(cfg),
	}, nil
}

const (
	answerTimeout = 10 * time.Second // whole; a test event of the API has longer
	pageGrace     = 5 * time.Second  // for requests under way when the service ends
)

// run opens LISTEN, waits for Redis and follows sessions until ctx ends. LISTEN is
// answered until the worker has stopped.
func (s *service) run(ctx context.Context) error {
	server, err := httpd.Start(ctx, httpd.Options{
		Addr: s.listen, Handler: s.pages(ctx.Done()), WriteTimeout: answerTimeout, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("opening LISTEN: %w", err)
	}
	s.shut.Listen(server.Addr()) // LISTEN may have been a name, or any port
	s.logStart(server.Addr())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-server.Done() // a service that no probe reaches must not go on unseen
		cancel()
	}()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go newTokens(s.accounts, s.worker.SetAccessToken, s.log).watch(ctx, hangups)
	err = s.follow(ctx)
	server.Stop(ctx, pageGrace)
	if err == nil {
		_ = s.redis.Close() // else tasks that the worker could not wait for still use it
	}
	return errors.Join(err, server.Err())
}

func (s *service) logStart(addr string) {
	s.log.Info("identwatch starts", "version", currentVersion(), "listen", addr)
	if files := system.Files(); files > 0 && s.connections > files-httpd.MaxConns(files) {
		s.log.Warn("the process may have fewer files open than its settings can need: raise the limit (ulimit -n, LimitNOFILE), or lower POLL_WORKERS and DELIVERY_CONCURRENCY",
			"limit", files, "for_the_server", httpd.MaxConns(files), "for_the_rest", s.connections)
	}
	names := make([]string, len(s.accounts))
	for i, a := range s.accounts {
		names[i] = a.Name
	}
	warnOfExposedFiles(s.log, names...)
	for _, a := range s.accounts {
		attrs := []any{"account", a.Name, "callback", a.CallbackURL != "", "api", len(a.APIKeys.Reveal()) > 0}
		if a.signs != (webhook.PublicKey{}) {
			attrs = append(attrs, "public_key", a.signs.String())
		}
		s.log.Info("following an account", attrs...)
	}
}

// follow runs the worker once Redis is there and fit.
func (s *service) follow(ctx context.Context) error {
	unsafe, err := findRedis(ctx, s.redis, s.log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	for _, what := range unsafe {
		s.log.Warn("this Redis is not safe to keep sessions in", "because", what.String())
	}
	s.found.Store(true)
	return s.worker.Run(ctx)
}

// stands says whether the service follows sessions.
func (s *service) stands(ctx context.Context) (now standing) {
	if !s.found.Load() {
		return standing{reasons: []string{"waiting for Redis"}}
	}
	if err := s.worker.Ready(ctx); err != nil {
		now.reasons = []string{err.Error()}
	}
	for _, name := range s.worker.Rejected() {
		now.details = append(now.details, "MarkSign rejects the access token of account "+name+"; its sessions wait")
	}
	return now
}
