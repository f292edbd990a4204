package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/internal/intake"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/tasks"
)

// enqueueFlags are the flags as they were given.
type enqueueFlags struct {
	callback, reference, method, locale, account, startedAt string
	checks                                                  []string
	retention                                               time.Duration
}

func newEnqueue() *cobra.Command {
	var flags enqueueFlags
	cmd := &cobra.Command{
		Use:   "enqueue {TOKEN... | -}",
		Short: "Have sessions followed, by their tokens",
		Long: `enqueue has the sessions followed whose tokens are its arguments or, with "-", the
lines of its standard input. It reads the input as a stream, thousands of tokens a
second; blank lines are left out.

A token that is refused (it cannot be one, or its session is being followed or was
finished recently) is told of on standard error with its line, and the others are
still enqueued. Repeating an input is safe: what is in already is refused as such.

With TASK_KEYS it signs the sessions, as a service with TASK_KEYS demands.

Exit codes: 0 all were enqueued, 1 some were not, 2 wrong usage or configuration.`,
		Example: `  identwatch enqueue 1c5cd62c-bbf7-779e-3fb4-bad3433ad83f --reference order-1842
  identwatch enqueue --method mobile_id --check peps,sanctions TOKEN
  identwatch enqueue --callback https://example.com/hook - < tokens.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no token: give tokens as arguments, or - to read them from standard input")
			}
			return nil
		},
		Annotations: readsEnvironment("REDIS_URL", "SHARDS", "ACCOUNTS", "CALLBACK_URL", "CALLBACK_HOSTS", "TASK_KEYS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEnqueue(cmd, args, flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.callback, "callback", "", "`URL` that the event is posted to (default: the service's CALLBACK_URL)")
	f.StringVar(&flags.reference, "reference", "", "the application's own name for the session, which comes back in the event")
	f.StringVar(&flags.method, "method", string(tasks.SmartID), "what the sessions were started with: smart_id or mobile_id")
	f.StringSliceVar(&flags.checks, "check", nil, "`checks` that the sessions were started with, separated by commas: peps, sanctions")
	f.StringVar(&flags.locale, "locale", "", "language of MarkSign's messages: lt or en (default: the service's MARKSIGN_LOCALE)")
	f.StringVar(&flags.account, "account", "", `MarkSign account of the sessions (default: the only one of ACCOUNTS, or "`+tasks.DefaultAccount+`")`)
	f.StringVar(&flags.startedAt, "started-at", "", "`time` when the sessions were started, such as 2026-11-21T20:51:03Z; it steers the pace of polling")
	f.DurationVar(&flags.retention, "retention", tasks.DefaultRetention, "how long a finished task is kept, and its session refused as a duplicate")
	return cmd
}

// template makes a session without a token of the flags. Its error is one of usage.
func (f enqueueFlags) template() (tasks.Session, error) {
	s := tasks.Session{
		Method: tasks.Method(f.method), Locale: f.locale, CallbackURL: f.callback, Reference: f.reference, Account: f.account,
	}
	for _, check := range f.checks {
		s.Checks = append(s.Checks, tasks.Check(strings.TrimSpace(check)))
	}
	if f.startedAt != "" {
		at, err := time.Parse(time.RFC3339, f.startedAt)
		if err != nil {
			return s, usagef("--started-at %.40q is no time: write one such as 2026-11-21T20:51:03Z", f.startedAt)
		}
		s.StartedAt = at
	}
	return s, f.check(s)
}

// flagOf names the flag that fills a field of a session, where they differ.
var flagOf = map[string]string{"callback_url": "callback", "checks": "check", "started_at": "started-at"}

// check tries the flags on a token that is known to be good.
func (f enqueueFlags) check(s tasks.Session) error {
	s.Token = "sample"
	_, err := tasks.NewFollowTask(s, f.retention)
	invalid, ok := errors.AsType[*tasks.ValidationError](err)
	switch {
	case err == nil && f.retention == 0:
		return usagef("--retention is 0: write at least %v", tasks.MinRetention)
	case err == nil:
		return nil
	case !ok:
		return usagef("--retention: %w", err)
	}
	faults := make([]string, len(invalid.Fields))
	for i, field := range invalid.Fields {
		name := field.Field
		if flagOf[name] != "" {
			name = flagOf[name]
		}
		faults[i] = "--" + name + " " + field.Problem
	}
	return usagef("%s", strings.Join(faults, "; "))
}

func runEnqueue(cmd *cobra.Command, args []string, flags enqueueFlags) error {
	template, err := flags.template()
	if err != nil {
		return err
	}
	cfg, err := config.LoadEnqueue(config.Check[config.Enqueue]{
		Names: []string{"REDIS_URL"},
		Find:  func(cfg config.Enqueue) error { return settings.CheckRedisURL(cfg.RedisURL) },
	})
	if err != nil {
		return err
	}
	if template.Account, err = chooseAccount(flags.account, cfg.Accounts); err != nil {
		return err
	}
	if err := checkCallbackHost(cfg, template); err != nil {
		return err
	}
	rdb, err := openEnqueueRedis(cfg.RedisURL)
	if err != nil {
		return err
	}
	defer func() { _ = rdb.Close() }()
	keys, err := settings.ParseTaskKeys(cfg.TaskKeys[settingsOf(cfg, template.Account)])
	if err != nil {
		return err
	}
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb, Shards: cfg.Shards, Retention: flags.retention, PayloadKey: settings.SigningKey(keys)})
	if err != nil {
		return err
	}
	items := intake.Tokens(args)
	if len(args) == 1 && args[0] == "-" {
		items = intake.Lines(cmd.InOrStdin())
	}
	progress := newProgress(cmd.ErrOrStderr(), cmd.InOrStdin())
	in := &intake.Intake{Queue: client, Template: template, Refused: func(i intake.Item, why error) { progress.refused(i.Token, i.Line, why) }}
	stop := progress.start(func() string { return tallyText(in.Tally()) })
	err = in.Run(cmd.Context(), items)
	stop()
	return concludeEnqueue(cmd.Context(), cmd.ErrOrStderr(), rdb, in.Tally(), err)
}

// settingsOf names the account whose settings are those of a session's account:
// without ACCOUNTS the variables have no name in front, whatever the account.
func settingsOf(cfg config.Enqueue, account string) string {
	if len(cfg.Accounts) == 0 {
		return tasks.DefaultAccount
	}
	return account
}

// checkCallbackHost refuses early what the service would not post to.
func checkCallbackHost(cfg config.Enqueue, template tasks.Session) error {
	name := settingsOf(cfg, template.Account)
	hosts, err := hostlist.Parse(cfg.CallbackHosts[name])
	if err != nil {
		return usagef("CALLBACK_HOSTS: %w", err)
	}
	if url := template.CallbackURL; url != "" && url != cfg.CallbackURLs[name] && !hosts.Allows(url) {
		return usagef("--callback names a host that is not among CALLBACK_HOSTS: write another URL, or add the host there, for the service too")
	}
	return nil
}

// chooseAccount takes the flag --account, and ACCOUNTS where it is set.
func chooseAccount(flag string, accounts []string) (string, error) {
	account, err := config.ChooseAccount(flag, accounts)
	if err != nil {
		return "", usagef("--account: %w", err)
	}
	return account, nil
}

// openEnqueueRedis leaves the repeating to the intake, which knows that a
// duplicate may be its own.
func openEnqueueRedis(rawURL config.Secret[string]) (redis.UniversalClient, error) {
	return tasks.OpenRedis(settings.WithSetting(rawURL.Reveal(), "max_retries", "-1"))
}

// concludeEnqueue writes the summary and says how the command ends.
func concludeEnqueue(ctx context.Context, out io.Writer, rdb redis.UniversalClient, tally intake.Tally, err error) error {
	summary := tallyText(tally)
	switch {
	case err == nil && tally.Refused == 0:
		_, err = fmt.Fprintln(out, summary)
		return err
	case err == nil:
		_, _ = fmt.Fprintln(out, summary)
		return errReported
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s; repeating the whole input is safe", summary)
	}
	return fmt.Errorf("%w\n%s, and stopped there; repeating the whole input is safe", explainRedis(ctx, rdb, err), summary)
}

func tallyText(t intake.Tally) string {
	return "enqueued " + strconv.Itoa(t.Enqueued) + ", refused " + strconv.Itoa(t.Refused)
}
