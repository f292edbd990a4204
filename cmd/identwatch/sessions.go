package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/screen"
)

// sessionsFlags are the flags as they were given.
type sessionsFlags struct {
	state, account string
	json           bool
	limit          int
}

func newSessions() *cobra.Command {
	var flags sessionsFlags
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List sessions and how they stand",
		Long: `sessions lists the sessions that Redis knows, in no order, as it finds them: those
of every account and in every state, or those that --account and --state choose.
A session is known until a day after its end, or as its retention says. The list
is written to standard output, and at its end how many there are in each state to
standard error.

The states are:
` + explainStates() + `
With --json each is a line with one object, as 'identwatch status --json' shows it.

Exit codes: 0 all are listed, 1 some are not, 2 wrong usage or configuration.`,
		Example: `  identwatch sessions --state following
  identwatch sessions --account shop --state delivering --json
  identwatch sessions --limit 20`,
		Args:        func(_ *cobra.Command, args []string) error { return flags.check(args) },
		Annotations: readsEnvironment("REDIS_URL", "SHARDS", "ACCOUNTS"),
		RunE:        func(cmd *cobra.Command, _ []string) error { return runSessions(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.state, "state", "", "only those in this `state`")
	f.StringVar(&flags.account, "account", "", "only those of this MarkSign `account`")
	f.BoolVar(&flags.json, "json", false, "write one JSON object a line")
	f.IntVar(&flags.limit, "limit", 0, "list this `number` of sessions at most; 0 is no bound")
	return cmd
}

func (f sessionsFlags) check(args []string) error {
	states := admin.States()
	switch {
	case len(args) > 0:
		return errors.New("takes no arguments: 'identwatch status TOKEN' shows one session")
	case f.state != "" && !slices.Contains(states, admin.State(f.state)):
		return fmt.Errorf("--state %.40q is none: it is one of %s", f.state, strings.Trim(fmt.Sprint(states), "[]"))
	case f.limit < 0:
		return errors.New("--limit is negative: write a number, or 0 for no bound")
	}
	return checkAccount(f.account)
}

func runSessions(cmd *cobra.Command, flags sessionsFlags) error {
	rdb, cfg, err := openInspected()
	if err != nil {
		return err
	}
	defer func() { _ = rdb.Close() }()
	if flags.account != "" {
		if flags.account, err = chooseAccount(flags.account, cfg.Accounts); err != nil {
			return err
		}
	}
	sessions, err := openSessions(cmd.Context(), rdb, cfg.Shards)
	if err != nil {
		return err
	}
	l := newSessionList(cmd, flags)
	stop := l.progress.start(l.count)
	err = l.read(cmd.Context(), sessions)
	stop()
	return l.conclude(cmd.Context(), cmd.ErrOrStderr(), rdb, err)
}

// sessionList is one run of the command.
type sessionList struct {
	flags    sessionsFlags
	out      io.Writer
	progress *progress

	mu       sync.Mutex // the progress reads while the list is written
	counts   map[admin.State]int
	listed   int
	unread   int
	isCutOff bool // by --limit
}

func newSessionList(cmd *cobra.Command, flags sessionsFlags) *sessionList {
	l := &sessionList{
		flags: flags, out: cmd.OutOrStdout(), counts: make(map[admin.State]int),
		progress: newProgress(cmd.ErrOrStderr(), nil),
	}
	// Where both are one terminal, the list scrolls by above the count.
	if f, isFile := l.out.(*os.File); isFile && l.progress.screen != nil && screen.IsTerminal(f) {
		l.out = l.progress.screen
	}
	return l
}

// read writes the sessions as they are found. The error is of Redis, or of
// standard output.
func (l *sessionList) read(ctx context.Context, sessions *admin.Sessions) error {
	for status, err := range sessions.List(ctx, admin.Filter{Account: l.flags.account, State: admin.State(l.flags.state)}) {
		if errors.Is(err, admin.ErrRecordVersion) {
			l.skip(status, err)
			continue
		}
		if err != nil {
			return err
		}
		if l.isFull() {
			return nil
		}
		if err := l.write(status); err != nil {
			return err
		}
	}
	return nil
}

// isFull reports whether a session that was found is past the limit.
func (l *sessionList) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCutOff = l.flags.limit > 0 && l.listed >= l.flags.limit
	return l.isCutOff
}

func (l *sessionList) skip(s admin.Status, why error) {
	l.mu.Lock()
	l.unread++
	l.mu.Unlock()
	l.progress.refused(s.Account+":"+s.Token, 0, why)
}

// row has the columns of the table. Those that may be long come last.
const row = "%-10s  %-11s  %8s  %-8s  %-12s  %-36s  %-24s  %s\n"

func (l *sessionList) write(s admin.Status) error {
	l.mu.Lock()
	first := l.listed == 0
	l.listed++
	l.counts[s.State]++
	l.mu.Unlock()
	if l.flags.json {
		return json.NewEncoder(l.out).Encode(s)
	}
	var text strings.Builder
	if first {
		text.WriteString(trimmed("STATE", "STARTED", "ATTEMPTS", "NEXT", "ACCOUNT", "TOKEN", "OUTCOME", "LAST ERROR"))
	}
	now := time.Now()
	text.WriteString(trimmed(s.State, since(s.StartedAt, now), s.Attempts, since(s.NextAttempt, now), s.Account, s.Token, outcomeOf(s), s.LastError))
	_, err := io.WriteString(l.out, text.String())
	return err
}

// trimmed is a row of the table, without the spaces of columns that are empty.
func trimmed(columns ...any) string {
	for i, c := range columns {
		columns[i] = fmt.Sprint(c)
	}
	return strings.TrimRight(fmt.Sprintf(row, columns...), " \n") + "\n"
}

func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return relative(t, now)
}

// count says how many were found, by state.
func (l *sessionList) count() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var parts []string
	for _, state := range admin.States() {
		if n := l.counts[state]; n > 0 {
			parts = append(parts, fmt.Sprint(n, " ", state))
		}
	}
	text := fmt.Sprint(l.listed, " sessions")
	if l.listed == 1 {
		text = "1 session"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if l.isCutOff {
		text += "; there are more, for --limit ended the list"
	}
	if l.unread > 0 {
		text += fmt.Sprintf("; %d could not be read", l.unread)
	}
	return text
}

// conclude writes the summary and says how the command ends.
func (l *sessionList) conclude(ctx context.Context, out io.Writer, rdb redis.UniversalClient, err error) error {
	switch {
	case err == nil:
		_, _ = fmt.Fprintln(out, l.count())
		if l.unread > 0 {
			return errReported
		}
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s", l.count())
	}
	return fmt.Errorf("%w\n%s, and stopped there", explainRedis(ctx, rdb, err), l.count())
}
