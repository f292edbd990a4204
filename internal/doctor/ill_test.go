package doctor

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/webhook"
)

// offset is a Redis whose clock is off.
type offset time.Duration

func (o offset) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o offset) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if answer, ok := cmd.(*redis.TimeCmd); ok && err == nil {
			answer.SetVal(answer.Val().Add(time.Duration(o)))
		}
		return err
	}
}

func (o offset) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// answering is a server that answers everything so.
func answering(status int, kind, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "/elsewhere?geheim")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// TestExamine_FindsWhatIsIll makes one thing ill at a time. No other check
// minds.
func TestExamine_FindsWhatIsIll(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--requirepass", redisPassword)
	startWorkers(t, locked(t, server), kinds...)
	const gone = "http://127.0.0.1:1"
	for name, row := range map[string]struct {
		harm   func(p *practice, a *Account)
		check  string
		status Status
		detail string // part of it
		advice string // part of it
	}{
		"clock a little behind": {func(p *practice, _ *Account) { p.drift(server, 1500*time.Millisecond) }, "clock", Warning, " s behind that of Redis", "NTP"},
		"clock a little ahead":  {func(p *practice, _ *Account) { p.drift(server, -2*time.Second) }, "clock", Warning, " s ahead of that of Redis", "NTP"},
		"clock off":             {func(p *practice, _ *Account) { p.drift(server, -time.Hour) }, "clock", Failed, "3600.0 s ahead of that of Redis", "NTP"},

		"wrong access token":  {func(p *practice, a *Account) { a.MarkSign = p.markSign(p.serve(p.sim), "geheim-other") }, "marksign", Failed, "marksign.example: invalid access token", "MARKSIGN_ACCESS_TOKEN"},
		"not authorised":      {func(p *practice, _ *Account) { p.sim.SetFaults(marksim.Faults{Error: 1, ErrorCode: 50003}) }, "marksign", Failed, "not authorised for the service", "ask MarkSign"},
		"MarkSign is down":    {func(p *practice, a *Account) { a.MarkSign = p.markSign(gone, accessToken) }, "marksign", Failed, "connection refused", "MARKSIGN_URL"},
		"MarkSign hangs up":   {func(p *practice, _ *Account) { p.sim.SetFaults(marksim.Faults{Outage: true}) }, "marksign", Failed, "connection closed", "MARKSIGN_URL"},
		"MarkSign is a page":  {func(p *practice, _ *Account) { p.sim.SetFaults(marksim.Faults{HTML: 1}) }, "marksign", Failed, "HTTP 200 without a JSON answer", "MARKSIGN_URL"},
		"a page with 401":     {func(p *practice, _ *Account) { p.takeMarkSign(answering(401, "text/html", "<p>geheim")) }, "marksign", Failed, "HTTP 401 without a JSON answer", "MARKSIGN_URL"},
		"401 and nothing":     {func(p *practice, _ *Account) { p.takeMarkSign(answering(401, "", "")) }, "marksign", Failed, "HTTP 401", "MARKSIGN_ACCESS_TOKEN"},
		"MarkSign is ill":     {func(p *practice, _ *Account) { p.sim.SetFaults(marksim.Faults{Error: 1, ErrorCode: 50001}) }, "marksign", Warning, "technical trouble", "later"},
		"another answer":      {func(p *practice, _ *Account) { p.sim.SetFaults(marksim.Faults{Error: 1, ErrorCode: 40001}) }, "marksign", Warning, "failed for a session that there is not: a request parameter", "MARKSIGN_URL"},
		"always waiting":      {func(p *practice, _ *Account) { p.takeMarkSign(answering(200, "", `{"status":"waiting"}`)) }, "marksign", Warning, "pending for a session that there is not", "MARKSIGN_URL"},
		"MarkSign redirected": {func(p *practice, _ *Account) { p.takeMarkSign(answering(302, "", "")) }, "marksign", Failed, "HTTP 302 redirect, not followed", "MARKSIGN_URL"},

		"callback is down":        {func(_ *practice, a *Account) { a.CallbackURL = "http://127.0.0.1:1111/?geheim" }, "callback", Failed, "127.0.0.1:1111: connection refused", "CALLBACK_URL"},
		"callback fails":          {func(p *practice, _ *Account) { p.takeReceiver(answering(500, "", "geheim")) }, "callback", Failed, "HTTP 500", "2xx"},
		"callback redirects":      {func(p *practice, _ *Account) { p.takeReceiver(answering(307, "", "geheim")) }, "callback", Failed, "redirect not followed (HTTP 307)", "CALLBACK_URL"},
		"callback is gone":        {func(p *practice, _ *Account) { p.takeReceiver(answering(410, "", "geheim")) }, "callback", Failed, "HTTP 410", "not posted again"},
		"callback is elsewhere":   {func(p *practice, _ *Account) { p.takeReceiver(answering(404, "", "geheim")) }, "callback", Failed, "HTTP 404", "no such path"},
		"callback is no server":   {func(_ *practice, a *Account) { a.CallbackURL = "http://" + server.Addr }, "callback", Failed, ": connection closed", "CALLBACK_URL"},
		"callback has no TLS":     {func(p *practice, a *Account) { a.CallbackURL = strings.Replace(p.base, "http:", "https:", 1) }, "callback", Failed, "TLS failure", "certificate"},
		"receiver's secret":       {func(p *practice, _ *Account) { p.takeReceiver(p.stranger()) }, "callback", Failed, "HTTP 401", "WEBHOOK_SECRETS"},
		"callback is not allowed": {func(p *practice, a *Account) { a.Sender = p.sender(webhook.SenderConfig{AllowNetworks: loopback}) }, "callback", Failed, "callback URL is http, which is not allowed here", "CALLBACK_ALLOW_HTTP"},
		"callback by its address": {func(p *practice, a *Account) { a.Sender = p.sender(webhook.SenderConfig{AllowHTTP: true}) }, "callback", Failed, "callback URL has an address that is not allowed", "CALLBACK_ALLOW_NETWORKS"},
		"callback by its name":    {func(p *practice, a *Account) { a.useName(p) }, "callback", Failed, "address is not public", "CALLBACK_ALLOW_NETWORKS"},
		"no callback":             {func(_ *practice, a *Account) { a.CallbackURL = "" }, "callback", Skipped, "no CALLBACK_URL", ""},
		"told to post nothing":    {func(p *practice, _ *Account) { p.opts.SkipCallback = true }, "callback", Skipped, "--no-callback", ""},

		"signed with another secret": {func(p *practice, a *Account) { a.Signer = p.signer(webhook.NewSecret()) }, "signature", Failed, "does not verify with key 1", "defect"},
		"another public key":         {func(_ *practice, a *Account) { a.PublicKey = webhook.NewSigningKey().Public() }, "signature", Failed, "does not verify with key 2", "defect"},
		"no API key":                 {func(_ *practice, a *Account) { a.APIKeys = 0 }, "api_keys", OK, "none: the HTTP API is off", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPractice(t, locked(t, server))
			row.harm(p, &p.opts.Accounts[0])
			checks, text := p.examine()
			c := checks[row.check]
			if c.Status != row.status || !strings.Contains(c.Detail, row.detail) || !strings.Contains(c.Advice, row.advice) || (c.Advice == "") != (row.advice == "") {
				t.Errorf("got %+v", c)
			}
			for other, c := range checks {
				if other != row.check && c.Status != OK {
					t.Errorf("%s minds: %+v", other, c)
				}
			}
			if events, _ := p.receiver.Events(); len(events) > 0 && row.check == "callback" {
				t.Errorf("the receiver got %+v", events)
			}
			if !strings.Contains(text, c.Detail) {
				t.Errorf("the text lacks the detail:\n%s", text)
			}
		})
	}
}

// drift changes the clock of the practice's Redis.
func (p *practice) drift(server *redistest.Server, by time.Duration) {
	rdb := locked(p.t, server)
	rdb.AddHook(offset(by))
	p.opts.Redis = rdb
}

// stranger is a receiver with another secret.
func (p *practice) stranger() http.Handler {
	return receiver.New(receiver.Options{Verifier: webhook.Verifier{Secrets: []webhook.Secret{webhook.NewSecret()}}})
}

// useName has the callback's address found out by DNS.
func (a *Account) useName(p *practice) {
	a.Sender = p.sender(webhook.SenderConfig{AllowHTTP: true})
	a.CallbackURL = strings.Replace(p.base, "127.0.0.1", "localhost", 1)
}
