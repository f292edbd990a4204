package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/tasks"
)

// redeliverFlags are the flags as they were given.
type redeliverFlags struct {
	all, dryRun          bool
	since, host, account string
}

func newRedeliver() *cobra.Command {
	var flags redeliverFlags
	cmd := &cobra.Command{
		Use:   "redeliver {TOKEN... | --all | --since TIME | --host HOST}",
		Short: "Have events posted again whose delivery was given up",
		Long: `redeliver has given-up events posted once more: from their sealed results, under
the same webhook-id, by the schedule of a first delivery. That can be done for as
long as the service keeps the result, REDELIVERY_WINDOW from the first giving up.

It takes the tokens that are its arguments, or with --all every given-up delivery;
--since, --host and --account choose among those, and can be combined. It writes a
line for each to standard output, and for what it cannot deliver again the reason
to standard error: what was delivered is erased, and what is being delivered goes
on by itself. Repeating it is safe. The workers post; the command does not wait
for them.

Exit codes: 0 all are posted again, 1 some are not, 2 wrong usage or configuration.`,
		Example: `  identwatch redeliver 1c5cd62c-bbf7-779e-3fb4-bad3433ad83f
  identwatch redeliver --since 24h --host hooks.example.com --dry-run
  identwatch redeliver --all`,
		Args:        func(_ *cobra.Command, args []string) error { return flags.check(args) },
		Annotations: readsEnvironment("REDIS_URL", "SHARDS", "ACCOUNTS", "CALLBACK_URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRedeliver(cmd, args, flags)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.all, "all", false, "every given-up delivery")
	f.StringVar(&flags.since, "since", "", "those given up since a `time` such as 2026-11-21T20:51:03Z, or for a duration such as 24h")
	f.StringVar(&flags.host, "host", "", "those to this `host`, with its port where the callback URL names one")
	f.BoolVar(&flags.dryRun, "dry-run", false, "write what would be posted again, and change nothing")
	f.StringVar(&flags.account, "account", "", `MarkSign `+"`account`"+` of the tokens (default: the only one of ACCOUNTS, or "`+session.DefaultAccount+`"); without tokens, those of this account alone`)
	return cmd
}

func (f redeliverFlags) check(args []string) error {
	choosing := f.all || f.since != "" || f.host != ""
	switch {
	case len(args) == 0 && !choosing:
		return errors.New("nothing is chosen: give tokens, or --all, --since or --host")
	case len(args) > 0 && choosing:
		return errors.New("give tokens, or --all, --since or --host, but not both")
	}
	if _, err := f.sinceTime(); err != nil {
		return err
	}
	return checkAccount(f.account)
}

func (f redeliverFlags) sinceTime() (time.Time, error) {
	if f.since == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(f.since); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, f.since)
	if err != nil {
		return time.Time{}, fmt.Errorf("--since %.40q is neither a time such as 2026-11-21T20:51:03Z nor a duration such as 24h", f.since)
	}
	return at, nil
}

func runRedeliver(cmd *cobra.Command, args []string, flags redeliverFlags) error {
	cfg, err := config.LoadRedeliver(config.Check[config.Redeliver]{
		Names: []string{"REDIS_URL"},
		Find:  func(cfg config.Redeliver) error { return settings.CheckRedisURL(cfg.RedisURL) },
	})
	if err != nil {
		return err
	}
	if len(args) > 0 || flags.account != "" {
		if flags.account, err = chooseAccount(flags.account, cfg.Accounts); err != nil {
			return err
		}
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
	r := &redelivering{
		sessions: sessions, flags: flags, fallback: cfg.CallbackURLs,
		out: cmd.OutOrStdout(), progress: newProgress(cmd.ErrOrStderr(), cmd.InOrStdin()),
	}
	stop := r.progress.start(r.count)
	err = r.run(cmd.Context(), args)
	stop()
	return r.conclude(cmd.Context(), cmd.ErrOrStderr(), rdb, err)
}

// redelivering is one run of the command.
type redelivering struct {
	sessions *admin.Sessions
	flags    redeliverFlags
	fallback map[string]string // by account, the callback URL of sessions that name none
	out      io.Writer
	progress *progress

	done, refused atomic.Int64
}

func (r *redelivering) run(ctx context.Context, tokens []string) error {
	chosen, err := r.choose(ctx, tokens)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	defer table.Flush() //nolint:errcheck // standard output that is gone changes nothing
	for i, given := range chosen {
		if i == 0 {
			_, _ = fmt.Fprintln(table, "ACCOUNT\tTOKEN\tGIVEN UP\tATTEMPTS\tHOST\tLAST ERROR")
		}
		if err := r.deliverAgain(ctx, given); err != nil {
			if !admin.IsRefusal(err) {
				return err
			}
			r.refuse(given.Job.Name(), err)
			continue
		}
		r.done.Add(1)
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", given.Job.Account, given.Job.Token, given.At.Format(time.RFC3339),
			given.Attempts, cmp.Or(r.host(given), "CALLBACK_URL"), given.LastError)
	}
	return nil
}

func (r *redelivering) deliverAgain(ctx context.Context, g admin.GivenUp) error {
	if r.flags.dryRun {
		return nil
	}
	return r.sessions.Redeliver(ctx, g.Job.Name())
}

// choose finds what is to be delivered again.
func (r *redelivering) choose(ctx context.Context, tokens []string) ([]admin.GivenUp, error) {
	if len(tokens) > 0 {
		return r.find(ctx, tokens)
	}
	since, err := r.flags.sinceTime()
	if err != nil {
		return nil, err
	}
	all, err := r.sessions.GivenUp(ctx, since)
	return slices.DeleteFunc(all, func(given admin.GivenUp) bool { return !r.chosen(given) }), err
}

// chosen says whether --host and --account, where they are given, choose a delivery.
func (r *redelivering) chosen(given admin.GivenUp) bool {
	return (r.flags.host == "" || strings.EqualFold(r.host(given), r.flags.host)) &&
		(r.flags.account == "" || given.Job.Account == r.flags.account)
}

func (r *redelivering) host(g admin.GivenUp) string {
	return address.HostOf(cmp.Or(g.Job.CallbackURL, r.fallback[g.Job.Account], r.fallback[session.DefaultAccount]))
}

func (r *redelivering) find(ctx context.Context, tokens []string) (found []admin.GivenUp, err error) {
	for _, token := range tokens {
		name, err := session.NewName(r.flags.account, token)
		if err != nil {
			r.refuseToken(token, err)
			continue
		}
		given, err := r.sessions.FindGivenUp(ctx, name)
		switch {
		case err == nil:
			found = append(found, given)
		case admin.IsRefusal(err):
			r.refuse(name, err)
		default:
			return nil, err
		}
	}
	return found, nil
}

// refuse reports a session by its token and, if the account is not the usual one,
// by that too.
func (r *redelivering) refuse(name session.Name, why error) {
	shown := name.Token()
	if name.Account() != session.DefaultAccount {
		shown = name.ID()
	}
	r.refuseToken(shown, why)
}

func (r *redelivering) refuseToken(shown string, why error) {
	r.refused.Add(1)
	r.progress.refused(shown, 0, why)
}

func (r *redelivering) count() string {
	verb := "redelivering "
	if r.flags.dryRun {
		verb = "would redeliver "
	}
	return verb + strconv.FormatInt(r.done.Load(), 10) + ", refused " + strconv.FormatInt(r.refused.Load(), 10)
}

// conclude writes the summary and says how the command ends.
func (r *redelivering) conclude(ctx context.Context, out io.Writer, rdb redis.UniversalClient, err error) error {
	switch {
	case err == nil:
		_, _ = fmt.Fprintln(out, r.count())
		if r.refused.Load() > 0 {
			return errReported
		}
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s; repeating it is safe", r.count())
	}
	return fmt.Errorf("%w\n%s, and stopped there; repeating it is safe", explainRedis(ctx, rdb, err), r.count())
}
