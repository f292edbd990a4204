package main

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/doctor"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/tasks"
)

// doctorFlags are the flags as they were given.
type doctorFlags struct{ json, noCallback bool }

func newDoctor() *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine everything that the service needs",
		Long: `doctor reads the environment as serve does, and examines what a service needs:

  configuration  every fault, as serve would report it; with one it ends here
  Redis          answers, is new enough, and is safe to keep sessions in
  Redis access   it asks for a password, and nobody on the way reads along
  clock          this machine's and that of Redis agree
  shards         there are as many as SHARDS says, each on a master that answers
  workers        they run, serve each shard, and no queue is paused
  MarkSign       is reached, and takes the access token
  callback       takes a test event, which is signed and is of no session
  signature      what is signed verifies with the account's own keys
  API keys       how many there are

The last four are of each account. It asks MarkSign for a session that there is
not, and changes nothing. Receivers acknowledge test events (identification.test)
as they do all types that they do not know; with --no-callback none is posted. It
takes 20 seconds at most, and shows no secret and nothing of a URL but its host.

With --json it writes one object: status, version, and in checks for each name,
account, status (ok, warning, failed or skipped), detail, advice and duration_ms,
and with the configuration its faults, each with variable and problem.

Exit codes: 0 nothing failed, 1 a check failed, 2 wrong usage or configuration.`,
		Example: `  identwatch doctor
  identwatch doctor --no-callback --json`,
		Args:        cobra.NoArgs,
		Annotations: readsEnvironment(),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd, flags) },
	}
	f := cmd.Flags()
	f.BoolVar(&flags.json, "json", false, "write JSON")
	f.BoolVar(&flags.noCallback, "no-callback", false, "post no test event")
	return cmd
}

func runDoctor(cmd *cobra.Command, flags doctorFlags) error {
	cfg, err := config.LoadServe(settings.Checks)
	if faults, wrong := errors.AsType[*config.Faults](err); wrong {
		return flags.report(cmd, []doctor.Check{misconfigured(faults)}, errReportedUsage)
	}
	if err != nil {
		return err
	}
	opts, err := examined(cfg)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = opts.Redis.Close() }()
	opts.SkipCallback = flags.noCallback
	checks := append([]doctor.Check{configured(cfg)}, examine(cmd, opts)...)
	if cmd.Context().Err() != nil {
		return errors.New("interrupted")
	}
	return flags.report(cmd, checks, errReported)
}

// examine shows on a terminal that it works.
func examine(cmd *cobra.Command, opts doctor.Options) []doctor.Check {
	var made, total atomic.Int64
	opts.Progress = func(n, of int) {
		made.Store(int64(n))
		total.Store(int64(of))
	}
	stop := newProgress(cmd.ErrOrStderr(), nil).start(func() string {
		return fmt.Sprintf("examining: %d of %d checks are made", made.Load(), total.Load())
	})
	defer stop()
	return doctor.Examine(cmd.Context(), opts)
}

// report writes the report. Where something failed it returns that error.
func (f doctorFlags) report(cmd *cobra.Command, checks []doctor.Check, failed error) error {
	report := doctor.NewReport(currentVersion(), checks)
	write := report.WriteText
	if f.json {
		write = report.WriteJSON
	}
	err := write(cmd.OutOrStdout())
	if err == nil && report.Status == doctor.Failed {
		err = failed
	}
	return err
}

// examined is what the configuration names, put together as serve does. It
// connects to nothing.
func examined(cfg config.Serve) (doctor.Options, error) {
	accounts, err := settings.NewAccounts(cfg, settings.ClosedTo(cfg))
	if err != nil {
		return doctor.Options{}, err
	}
	var opts doctor.Options
	for _, a := range accounts {
		patient, err := examinedAccount(a)
		if err != nil {
			return doctor.Options{}, fmt.Errorf("account %s: %w", a.Name, err)
		}
		opts.Accounts = append(opts.Accounts, patient)
	}
	opts.Redis, err = tasks.OpenRedis(settings.WithSetting(cfg.RedisURL.Reveal(), "max_retries", "-1")) // once shows it
	if err != nil {
		return doctor.Options{}, err
	}
	if opts.Shards, err = shards.New(cfg.Shards, opts.Redis); err != nil {
		return doctor.Options{}, errors.Join(fmt.Errorf("SHARDS %w", err), opts.Redis.Close())
	}
	return opts, nil
}

func examinedAccount(a settings.Account) (doctor.Account, error) {
	secrets, err := settings.ParseSecrets(a.WebhookSecrets.Reveal())
	if err != nil {
		return doctor.Account{}, err
	}
	upstream, err := marksign.New(marksign.Config{BaseURL: a.MarkSignURL, AccessToken: a.MarkSignAccessToken.Reveal(), Locale: a.MarkSignLocale})
	if err != nil {
		return doctor.Account{}, err
	}
	return doctor.Account{
		Name: a.Name, MarkSign: upstream, Host: address.HostOf(a.MarkSignURL), Sender: a.Sender, CallbackURL: a.CallbackURL,
		Signer: a.Signer, Secrets: secrets, PublicKey: a.PublicKey, APIKeys: len(a.APIKeys.Reveal()),
	}, nil
}

// configured is the check of a configuration without faults.
func configured(cfg config.Serve) doctor.Check {
	names := accountNames(cfg)
	detail := "1 account: "
	if len(names) > 1 {
		detail = fmt.Sprint(len(names), " accounts: ")
	}
	c := doctor.Check{Name: "configuration", Status: doctor.OK, Detail: detail + strings.Join(names, ", ")}
	if unknown := config.FindUnknown(); len(unknown) > 0 {
		c.Status, c.Advice = doctor.Warning, "correct the name, or take the variable away if nothing else reads it"
		for _, u := range unknown {
			c.Detail += "; " + aboutUnknown(u)
		}
	}
	return c
}

// misconfigured is the check of a configuration with faults.
func misconfigured(found *config.Faults) doctor.Check {
	c := doctor.Check{Name: "configuration", Status: doctor.Failed, Advice: "run 'identwatch doctor --help' for all variables; nothing else was examined"}
	for _, fault := range found.List() {
		c.Faults = append(c.Faults, doctor.Fault{Variable: fault.Name, Problem: fault.Problem})
	}
	for _, u := range config.FindUnknown() {
		c.Faults = append(c.Faults, doctor.Fault{Variable: u.Name, Problem: strings.TrimPrefix(aboutUnknown(u), u.Name+" ")})
	}
	c.Detail = "1 variable is wrong"
	if n := len(c.Faults); n > 1 {
		c.Detail = fmt.Sprint(n, " variables are wrong")
	}
	return c
}
