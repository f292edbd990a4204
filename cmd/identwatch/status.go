package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/session"
)

// statusFlags are the flags as they were given.
type statusFlags struct {
	account string
	json    bool
}

func newStatus() *cobra.Command {
	var flags statusFlags
	cmd := &cobra.Command{
		Use:   "status TOKEN",
		Short: "Show how a session stands",
		Long: `status shows how one session stands: whether a worker follows it, how it ended,
whether its event was delivered, and whether it was removed at MarkSign. Nothing
of what it shows is personal.

The states are:
` + explainStates() + `
With --json it writes one object: account, token, state, outcome (the event's
type), reason, removal (pending, removed or unknown), polls, attempts (posts),
removals (DELETEs), last_error, last_trouble (of polls), started_at, final_at,
ended_at, removed_at, kept_until (until then a session whose answer could not be
used stays at MarkSign) and next_attempt_at. Times are after RFC 3339, in UTC; what
there is not is left out.

Exit codes: 0 it is shown, 1 there is no such session or Redis failed, 2 wrong
usage or configuration.`,
		Example: `  identwatch status 1c5cd62c-bbf7-779e-3fb4-bad3433ad83f
  identwatch status --account shop --json -- -token-with-a-dash`,
		Args:        cobra.ExactArgs(1),
		Annotations: readsEnvironment("REDIS_URL", "SHARDS", "ACCOUNTS"),
		RunE:        func(cmd *cobra.Command, args []string) error { return runStatus(cmd, args[0], flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.account, "account", "", "MarkSign `account` of the session (default: the only one of ACCOUNTS, or \""+session.DefaultAccount+"\")")
	f.BoolVar(&flags.json, "json", false, "write JSON")
	return cmd
}

// meanings say what a session in a state is waiting for, or what became of it.
var meanings = map[admin.State]string{
	admin.Waiting:     "enqueued; no worker took it yet",
	admin.Following:   "polled until the person has confirmed or refused",
	admin.Delivering:  "final; its event is posted until a receiver acknowledges it",
	admin.Delivered:   "a receiver acknowledged the event",
	admin.Removed:     "delivered, and removed at MarkSign",
	admin.Undelivered: "no receiver acknowledged the event in time",
	admin.Cancelled:   "the application stopped it; nothing is posted",
}

func explainStates() string {
	var text strings.Builder
	for _, state := range admin.States() {
		_, _ = fmt.Fprintf(&text, "  %-11s %s\n", state, meanings[state])
	}
	return text.String()
}

func runStatus(cmd *cobra.Command, token string, flags statusFlags) error {
	if _, err := session.NewName(flags.account, token); err != nil {
		return usageOf(err)
	}
	rdb, cfg, err := openInspected()
	if err != nil {
		return err
	}
	defer func() { _ = rdb.Close() }()
	account, err := chooseAccount(flags.account, cfg.Accounts)
	if err != nil {
		return err
	}
	name, err := session.NewName(account, token)
	if err != nil {
		return usageOf(err)
	}
	sessions, err := openSessions(cmd.Context(), rdb, cfg.Shards)
	if err != nil {
		return err
	}
	status, err := sessions.Status(cmd.Context(), name)
	switch {
	case errors.Is(err, admin.ErrNoSession):
		return fmt.Errorf("account %s: %w", account, err)
	case err != nil:
		return explainRedis(cmd.Context(), rdb, err)
	case flags.json:
		return json.NewEncoder(cmd.OutOrStdout()).Encode(status)
	}
	return writeStatus(cmd.OutOrStdout(), status, time.Now())
}

// writeStatus shows a status to people. Lines that there is nothing to say in
// are left out.
func writeStatus(out io.Writer, s admin.Status, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, value)
		}
	}
	at := func(name string, t time.Time) {
		if !t.IsZero() {
			line(name, moment(t, now))
		}
	}
	line("token", s.Token)
	line("account", s.Account)
	line("state", string(s.State)+": "+meanings[s.State])
	line("outcome", s.Outcome)
	line("reason", s.Reason)
	at("started", s.StartedAt)
	at("final", s.FinalAt)
	at("ended", s.EndedAt)
	at("removed", s.RemovedAt)
	line("removal", s.Removal)
	at("kept until", s.KeptUntil)
	line("polls", counted(s.Polls))
	line("attempts", counted(s.Attempts))
	at("next attempt", s.NextAttempt)
	line("removals", counted(s.Removals))
	line("last error", s.LastError)
	line("last trouble", s.LastTrouble)
	return table.Flush()
}

func counted(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
