package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/internal/system"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// Service is one process of `identwatch serve`.
type Service struct {
	version  string
	listen   string
	shut     *closed.Addresses // to callbacks
	log      *slog.Logger
	redis    redis.UniversalClient
	worker   *worker.Worker
	accounts []settings.Account
	metrics  *prometheus.Registry
	api      http.Handler // says how to turn the API on if no account has a key
	monitor  http.Handler // shows the queues; nil without MONITOR_PASSWORD
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

// New puts the parts together for a configuration that was loaded with
// [settings.Checks]. It connects to nothing. The version is only logged. An error is
// a fault of the configuration.
func New(cfg config.Serve, version string, log *slog.Logger) (*Service, error) {
	shut := settings.ClosedTo(cfg)
	accounts, err := settings.NewAccounts(cfg, shut)
	if err != nil {
		return nil, err
	}
	rdb, err := openWorkerRedis(cfg.RedisURL)
	if err != nil {
		return nil, err
	}
	shut.Watch(rdb)
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
	return &Service{
		version: version, listen: cfg.Listen, shut: shut, log: log, redis: rdb, worker: w, accounts: accounts, metrics: metrics,
		api: api, monitor: newMonitor(cfg, rdb, metrics, log), connections: connectionsOf(cfg),
	}, nil
}

const (
	answerTimeout = 10 * time.Second // whole; a test event of the API has longer
	pageGrace     = 5 * time.Second  // for requests under way when the service ends
)

// Run opens LISTEN, waits for Redis and follows sessions until ctx ends. LISTEN is
// answered until the worker has stopped. At each hangup, and when they change, it reads
// the files again that hold access tokens. A nil channel has none. Call it once.
//
// It returns nil if ctx ended it, and otherwise what failed: LISTEN, or Redis.
func (s *Service) Run(ctx context.Context, hangups <-chan os.Signal) error {
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
	go newTokens(s.accounts, s.worker.SetAccessToken, s.log).watch(ctx, hangups)
	err = s.follow(ctx)
	server.Stop(ctx, pageGrace)
	if err == nil {
		_ = s.redis.Close() // else tasks that the worker could not wait for still use it
	}
	return errors.Join(err, server.Err())
}

func (s *Service) logStart(addr string) {
	s.log.Info("identwatch starts", "version", s.version, "listen", addr)
	if files := system.Files(); files > 0 && s.connections > files-httpd.MaxConns(files) {
		s.log.Warn("the process may have fewer files open than its settings can need: raise the limit (ulimit -n, LimitNOFILE), or lower POLL_WORKERS and DELIVERY_CONCURRENCY",
			"limit", files, "for_the_server", httpd.MaxConns(files), "for_the_rest", s.connections)
	}
	for _, a := range s.accounts {
		attrs := []any{"account", a.Name, "callback", a.CallbackURL != "", "api", len(a.APIKeys.Reveal()) > 0}
		if a.PublicKey != (webhook.PublicKey{}) {
			attrs = append(attrs, "public_key", a.PublicKey.String())
		}
		s.log.Info("following an account", attrs...)
	}
}

// follow runs the worker once Redis is there and fit.
func (s *Service) follow(ctx context.Context) error {
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
func (s *Service) stands(ctx context.Context) (now standing) {
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
