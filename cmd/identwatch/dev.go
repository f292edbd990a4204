package main

import (
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/cmd/identwatch/internal/demo"
)

// maxDevSessions bounds what the embedded Redis is asked to do.
const maxDevSessions = 1000

func newDev() *cobra.Command {
	var opts demo.Options
	var level string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with invented persons, to see it work",
		Long: `dev needs nothing installed and reads no configuration. In one process it runs an
embedded Redis, a simulated MarkSign, a receiver that verifies each event, and the
service, and starts sessions of invented persons: some confirm, one is a politically
exposed person, one is on sanctions lists, one refuses, one lets the session expire,
one has no account. It shows how each session goes, and each event as the receiver
got it. Nothing is kept after it ends.

With --exit it ends when all sessions are removed, with exit code 0 only if each
event was delivered exactly once, with a right signature, and its session removed
exactly once after that. Without it, it stays, and tells how to start others.`,
		Example: `  identwatch dev
  identwatch dev --sessions 12 --exit`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Sessions < 0 || opts.Sessions > maxDevSessions {
				return usagef("--sessions is %d: write 0 to %d", opts.Sessions, maxDevSessions)
			}
			if err := opts.LogLevel.UnmarshalText([]byte(level)); err != nil {
				return usagef("--log-level is %.40q: write debug, info, warn or error", level)
			}
			opts.Out, opts.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return demo.Run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.IntVar(&opts.Sessions, "sessions", 6, "how many sessions to start")
	f.BoolVar(&opts.Exit, "exit", false, "end when all of them are removed, and say whether all went as promised")
	f.BoolVar(&opts.Full, "full", false, "print long texts in events, such as certificates, whole")
	f.StringVar(&level, "log-level", "warn", "least `level` of the service's own log: debug, info, warn or error")
	return cmd
}
