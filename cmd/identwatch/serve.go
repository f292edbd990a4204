package main

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/service"
	"github.com/identwatch/identwatch/internal/settings"
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
		RunE:        func(cmd *cobra.Command, _ []string) error { return runServe(cmd) },
	}
}

func runServe(cmd *cobra.Command) error {
	cfg, err := config.LoadServe(settings.Checks)
	if err != nil {
		return err
	}
	log := newLogger(cmd.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat)
	logUnknown(log)
	warnOfExposedFiles(log, accountNames(cfg)...)
	s, err := service.New(cfg, currentVersion(), log)
	if err != nil {
		return usageError{err}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return s.Run(cmd.Context(), hangups)
}

func accountNames(cfg config.Serve) []string {
	names := make([]string, len(cfg.Accounts))
	for i, a := range cfg.Accounts {
		names[i] = a.Name
	}
	return names
}

// warnOfExposedFiles logs the settings whose secret everybody can read.
func warnOfExposedFiles(log *slog.Logger, accounts ...string) {
	for _, name := range config.ExposedFiles(accounts...) {
		log.Warn("everybody on this machine can read or change the file of a secret: chmod 600 it, or give it to the group of this user alone", "setting", name)
	}
}

func newLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}
