package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/tasks"
)

func newAnswer() *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:   "answer TOKEN",
		Short: "Print an answer of MarkSign that could not be used",
		Long: `answer prints what MarkSign answered for a session that failed with the reason
unusable_answer, byte for byte as it came. The answer is kept sealed for
REDELIVERY_WINDOW after the event was delivered or given up, and the session stays
at MarkSign for as long; 'identwatch status' says until when.

What it prints is personal data, and may be of somebody else than the session's
person: that may be why the answer could not be used. Nothing of it was posted to
your application. An answer over 8 MiB is not kept, and of one that broke off on its
way there is the beginning.

Exit codes: 0 it is printed, 1 no answer is kept or Redis failed, 2 wrong usage or
configuration.`,
		Example:     `  identwatch answer 1c5cd62c-bbf7-779e-3fb4-bad3433ad83f > answer.json`,
		Args:        cobra.ExactArgs(1),
		Annotations: readsEnvironment("REDIS_URL", "SHARDS", "ACCOUNTS", "OUTCOME_KEYS"),
		RunE:        func(cmd *cobra.Command, args []string) error { return runAnswer(cmd, args[0], account) },
	}
	cmd.Flags().StringVar(&account, "account", "", "MarkSign `account` of the session (default: the only one of ACCOUNTS, or \""+session.DefaultAccount+"\")")
	return cmd
}

func runAnswer(cmd *cobra.Command, token, account string) error {
	if _, err := session.NewName(account, token); err != nil {
		return usageOf(err)
	}
	cfg, err := config.LoadAnswer(config.Check[config.Answer]{
		Names: []string{"REDIS_URL"},
		Find:  func(cfg config.Answer) error { return settings.CheckRedisURL(cfg.RedisURL) },
	})
	if err != nil {
		return err
	}
	if account, err = chooseAccount(account, cfg.Accounts); err != nil {
		return err
	}
	name, err := session.NewName(account, token)
	if err != nil {
		return usageOf(err)
	}
	rdb, err := tasks.OpenRedis(cfg.RedisURL.Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = rdb.Close() }()
	sessions, err := openSessions(cmd.Context(), rdb, cfg.Shards)
	if err != nil {
		return err
	}
	answer, err := sessions.Answer(cmd.Context(), name, cfg.OutcomeKeys.Reveal())
	switch {
	case errors.Is(err, admin.ErrNoAnswer):
		return fmt.Errorf("account %s: %w", account, err)
	case err != nil:
		return explainRedis(cmd.Context(), rdb, err)
	}
	_, err = cmd.OutOrStdout().Write(answer)
	return err
}
