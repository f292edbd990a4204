package main

import (
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/demo"
	"github.com/identwatch/identwatch/internal/demo/desk"
	"github.com/identwatch/identwatch/internal/monitor"
)

// deskAddr is where the page of dev is, unless it is taken.
const deskAddr = "127.0.0.1:8088"

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
			if opts.Sessions < 0 || opts.Sessions > maxDevSessions {
				return usagef("--sessions is %d: write 0 to %d", opts.Sessions, maxDevSessions)
			}
			if err := opts.LogLevel.UnmarshalText([]byte(level)); err != nil {
				return usagef("--log-level is %.40q: write debug, info, warn or error", level)
			}
			if err := withDesk(&opts, cmd.Flags().Changed("listen")); err != nil {
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

// withDesk adds the page, on the address that was asked for, or on any where none
// was; with --exit only if it was asked for.
func withDesk(opts *demo.Options, asked bool) error {
	if !isLoopback(opts.Listen) {
		return usagef("--listen is %.60q: write a loopback address and a port, such as %s", opts.Listen, deskAddr)
	}
	opts.Elsewhere = !asked
	if asked || !opts.Exit {
		opts.Page = deskOf
	}
	return nil
}

// deskOf is all that is on the page's server: the desk, and beside it what serve
// has on LISTEN, without a login, for this machine alone can reach it.
func deskOf(stage *demo.Stage) (http.Handler, error) {
	handler, err := api.New(stage.API())
	if err != nil {
		return nil, err
	}
	rest := http.NewServeMux()
	rest.Handle("GET /metrics", promhttp.HandlerFor(stage.Metrics(), promhttp.HandlerOpts{}))
	rest.Handle(monitor.Path, monitor.New(monitor.Options{Redis: stage.Redis(), Open: true}))
	rest.Handle("/v1/", handler)
	rest.Handle("/docs/", handler)
	return desk.New(stage, desk.Options{Rest: rest, Links: []desk.Link{
		{Label: "Queues", Path: monitor.Path}, {Label: "API", Path: "/docs/"}, {Label: "Metrics", Path: "/metrics"},
	}}), nil
}

// isLoopback reports whether an address to listen on is of this machine alone.
func isLoopback(listen string) bool {
	_, _, err := net.SplitHostPort(listen)
	return err == nil && address.IsLoopback(listen)
}
