package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/marksim"
)

// simulateFlags are the flags as they were given.
type simulateFlags struct {
	listen, accessToken string
	hosts               []string
	seed                uint64
	polls               bool
	load                loadFlags
	faults              faultFlags
}

func newSimulate() *cobra.Command {
	var flags simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated MarkSign, for development and load tests",
		Long: `simulate answers as MarkSign does, for both methods and both locales. All persons
in it are invented: who confirms, who refuses and after how long is scripted by
personal code. It prints a line for each start, final answer and removal.

Start a session as an application does; "simulate" in the body is the simulator's
own, and optional: {"simulate":{"after_ms":1500,"outcome":"refuses"}}. For load
tests it starts sessions itself and writes their tokens to a file.

GET /simulator/sessions tells as JSON how each session stands and was treated.
Rates are shares of the calls, from 0 to 1.`,
		Example: `  identwatch simulate
  curl -s http://127.0.0.1:8090/smartid/login.json -d '{"access_token":"any","code":"20101010001","country":"LT"}'
  identwatch simulate --sessions 1000 --sessions-file tokens.txt --errors 0.05 --outage 20s,10s`,
		Args: cobra.NoArgs,
		Annotations: map[string]string{environment: `  MARKSIGN_ACCESS_TOKEN or MARKSIGN_ACCESS_TOKEN_FILE
        the token that calls must carry, where --access-token gives none
`},
		RunE: func(cmd *cobra.Command, _ []string) error { return runSimulate(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&flags.hosts, "host", nil, "another `name` under which it is asked, beside its addresses; may be repeated")
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8090", "`host:port` to listen on")
	f.StringVar(&flags.accessToken, "access-token", "", "the `token` that calls must carry, for everybody on this machine to see; without it and MARKSIGN_ACCESS_TOKEN any will do")
	f.Uint64Var(&flags.seed, "seed", 0, "makes chance repeatable; 0 is another one each time")
	f.BoolVar(&flags.polls, "polls", false, "print a line for each poll too")
	flags.load.register(f)
	flags.faults.register(f)
	return cmd
}

func runSimulate(cmd *cobra.Command, flags simulateFlags) error {
	faults, err := flags.faults.parse()
	if err != nil {
		return err
	}
	load, err := flags.load.parse()
	if err != nil {
		return err
	}
	cfg, err := config.LoadSimulate()
	if err != nil {
		return err
	}
	warnOfExposedFiles(newLogger(cmd.ErrOrStderr(), slog.LevelWarn, "text"))
	if flags.accessToken == "" {
		flags.accessToken = cfg.MarkSignAccessToken.Reveal()
	}
	out := cmd.OutOrStdout()
	if load.file == "-" {
		out = cmd.ErrOrStderr() // standard output is the tokens' alone
	}
	printer := &simulatorPrinter{&printer{out: out}, flags.polls}
	sim := marksim.New(marksim.Options{AccessToken: flags.accessToken, Seed: flags.seed, OnEvent: printer.print})
	server, err := httpd.Start(cmd.Context(), httpd.Options{
		Addr: flags.listen, Handler: httpd.OwnNames(flags.listen, flags.hosts, sim.WithReports()),
	})
	if err != nil {
		return fmt.Errorf("opening --listen: %w", err)
	}
	defer server.Stop(cmd.Context(), time.Second)
	printer.say("simulated MarkSign at %s: every person in it is invented\n", server.URL())
	if err := load.start(sim, cmd.OutOrStdout()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	go sim.Play(ctx, faults)
	select {
	case <-ctx.Done():
		return nil
	case <-server.Done():
		return server.Err()
	}
}

// simulatorPrinter prints a line for each event.
type simulatorPrinter struct {
	*printer
	polls bool
}

func (p *simulatorPrinter) print(e marksim.Event) {
	if e.Kind == marksim.Polled && !p.polls {
		return
	}
	token := e.Token
	if token == "" {
		token = "-"
	}
	p.say("%s  %-14s %q %s\n", e.At.Format("15:04:05.000"), e.Kind, token, e.Answer)
}
