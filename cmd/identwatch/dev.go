package main

import (
	"net"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/demo"
)

// deskAddr is where the page of dev is, unless it is taken.
const deskAddr = "127.0.0.1:8088"

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

It serves a page to try it on, for this machine alone: start sessions, press the
buttons of the person's phone, make MarkSign or the receiver fail, and watch.

With --exit it ends when all sessions are removed, with exit code 0 only if each
event was delivered exactly once, with a right signature, and its session removed
exactly once after that, and serves no page unless --listen is given. Without it,
it stays, and tells how to start others.`,
		Example: `  identwatch dev
  identwatch dev --sessions 12 --exit`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Sessions < 0 || opts.Sessions > demo.MaxSessions {
				return usagef("--sessions is %d: write 0 to %d", opts.Sessions, demo.MaxSessions)
			}
			if err := opts.LogLevel.UnmarshalText([]byte(level)); err != nil {
				return usagef("--log-level is %.40q: write debug, info, warn or error", level)
			}
			if err := placePages(&opts, cmd.Flags().Changed("listen")); err != nil {
				return err
			}
			opts.Out, opts.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return demo.Run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.IntVar(&opts.Sessions, "sessions", 6, "how many sessions to start")
	f.BoolVar(&opts.Exit, "exit", false, "end when all of them are removed, and say whether all went as promised")
	f.BoolVar(&opts.Full, "full", false, "print long texts in events, such as certificates, whole")
	f.StringVar(&opts.Listen, "listen", deskAddr, "`host:port` of the page, on the loopback address; without this flag another port where that is taken")
	f.StringVar(&level, "log-level", "warn", "least `level` of the service's own log: debug, info, warn or error")
	return cmd
}

// placePages has the pages served on the address that was asked for, or where none
// was, on any; with --exit only if it was asked for.
func placePages(opts *demo.Options, asked bool) error {
	if _, _, err := net.SplitHostPort(opts.Listen); err != nil || !address.IsLoopback(opts.Listen) {
		return usagef("--listen is %.60q: write a loopback address and a port, such as %s", opts.Listen, deskAddr)
	}
	opts.Elsewhere = !asked
	if opts.Exit && !asked {
		opts.Listen = ""
	}
	return nil
}
