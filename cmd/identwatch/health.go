package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/service"
)

func newHealth() *cobra.Command {
	var mustBeReady bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running service whether it lives and is ready",
		Long: `health asks the service on this machine, for the health check of a container. It
exits with 0 where /healthz answers 200, and prints what /readyz says: a service
that waits for Redis lives, and restarting it would not help. With --ready it
also demands that /readyz answers 200. It waits for 3 seconds.`,
		Example: `  identwatch health
  LISTEN=:9000 identwatch health --ready`,
		Args:        cobra.NoArgs,
		Annotations: readsEnvironment("LISTEN"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.LoadHealth()
			if err != nil {
				return err
			}
			if strings.HasSuffix(cfg.Listen, ":0") {
				return usagef("LISTEN has port 0, so the port that the service got is not known: give it a port")
			}
			return askHealth(cmd.Context(), "http://"+httpd.Reachable(cfg.Listen), mustBeReady, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&mustBeReady, "ready", false, "exit with 1 unless the service is ready")
	return cmd
}

// healthTimeout bounds both questions together.
const healthTimeout = 3 * time.Second

func askHealth(ctx context.Context, base string, mustBeReady bool, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	status, _, err := ask(ctx, base+"/healthz")
	if err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("what answers at %s/healthz is not identwatch, or not well: HTTP %d", base, status)
	}
	details, notReady := askReady(ctx, base+"/readyz")
	if notReady == nil {
		_, err = fmt.Fprintln(out, strings.Join(append([]string{"alive, ready"}, details...), "; "))
		return err
	}
	if mustBeReady {
		return fmt.Errorf("alive, %w", notReady)
	}
	_, err = fmt.Fprintln(out, "alive,", notReady)
	return err
}

// askReady returns what is to be known of a service that is ready, or why it is not.
func askReady(ctx context.Context, url string) (details []string, err error) {
	status, body, err := ask(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("not known to be ready: %w", err)
	}
	var answer service.Readiness
	if json.Unmarshal(body, &answer) == nil && len(answer.Reasons) > 0 {
		return nil, fmt.Errorf("not ready: %s", strings.Join(answer.Reasons, "; "))
	}
	if status != http.StatusOK || !answer.Ready {
		return nil, fmt.Errorf("not ready: HTTP %d", status)
	}
	return answer.Details, nil
}

// maxProbe is the most that is read of an answer, in bytes.
const maxProbe = 64 << 10

// ask is a GET that heeds no proxy of the environment and follows no redirect.
func ask(ctx context.Context, url string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxProbe))
	return res.StatusCode, body, err
}
