package doctor

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/webhook"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes to standard error what it returns anyway
	m.Run()
}

const accessToken = "geheim-access-token"

// practice is a whole service to examine, all of it well, with what makes it ill.
type practice struct {
	t        *testing.T
	opts     Options
	account  Account // that of opts, before anything was changed
	sim      *marksim.Simulator
	receiver *receiver.Receiver
	verifier webhook.Verifier
	base     string // of the receiver's URL
	secret   webhook.Secret
	key      webhook.SigningKey
}

// newPractice runs MarkSign and the receiver; its Redis is the caller's.
func newPractice(t *testing.T, rdb redis.UniversalClient) *practice {
	t.Helper()
	p := &practice{t: t, secret: webhook.NewSecret(), key: webhook.NewSigningKey()}
	p.verifier = webhook.Verifier{Secrets: []webhook.Secret{p.secret}}
	p.receiver = receiver.New(receiver.Options{Verifier: p.verifier})
	p.sim = marksim.New(marksim.Options{AccessToken: accessToken, Seed: 1})
	p.base = p.serve(p.receiver)
	p.account = Account{
		Name: "shop", Host: "marksign.example", MarkSign: p.markSign(p.serve(p.sim), accessToken),
		CallbackURL: p.base + "/geheim-path?key=geheim-query", Secrets: []webhook.Secret{p.secret}, PublicKey: p.key.Public(), APIKeys: 2,
	}
	p.account.Signer = p.signer(p.secret)
	p.account.Sender = p.sender(webhook.SenderConfig{AllowHTTP: true, AllowNetworks: loopback})
	p.opts = Options{Redis: rdb, Accounts: []Account{p.account}}
	return p
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// serve returns the base URL of a server.
func (p *practice) serve(h http.Handler) string {
	server := httptest.NewServer(h)
	p.t.Cleanup(server.Close)
	return server.URL
}

// takeMarkSign has the account ask another MarkSign.
func (p *practice) takeMarkSign(h http.Handler) {
	p.opts.Accounts[0].MarkSign = p.markSign(p.serve(h), accessToken)
}

// takeReceiver has the account post to another receiver.
func (p *practice) takeReceiver(h http.Handler) { p.opts.Accounts[0].CallbackURL = p.serve(h) }

func (p *practice) markSign(base, token string) *marksign.Client {
	p.t.Helper()
	client, err := marksign.New(marksign.Config{BaseURL: base, AccessToken: token})
	if err != nil {
		p.t.Fatal(err)
	}
	return client
}

func (p *practice) signer(secret webhook.Secret) *webhook.Signer {
	p.t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{secret}, &p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return signer
}

func (p *practice) sender(cfg webhook.SenderConfig) *webhook.Sender {
	p.t.Helper()
	if cfg.Signer == nil {
		cfg.Signer = p.account.Signer
	}
	sender, err := webhook.NewSender(cfg)
	if err != nil {
		p.t.Fatal(err)
	}
	return sender
}

// examine returns the checks by name, and whatever they say as one text.
func (p *practice) examine() (map[string]Check, string) {
	p.t.Helper()
	checks := make(map[string]Check)
	report := NewReport("v1", Examine(p.t.Context(), p.opts))
	var text strings.Builder
	if err := errors.Join(report.WriteText(&text), report.WriteJSON(&text)); err != nil {
		p.t.Fatal(err)
	}
	for _, c := range report.Checks {
		checks[c.Name] = c
	}
	for _, secret := range []string{"geheim", p.secret.Encode()[6:], p.key.Encode()[5:]} {
		if strings.Contains(text.String(), secret) {
			p.t.Errorf("the report shows a secret:\n%s", text.String())
		}
	}
	return checks, text.String()
}

// startWorkers serves the queues as a worker does.
func startWorkers(t *testing.T, rdb redis.UniversalClient, names ...string) {
	t.Helper()
	for _, queue := range names {
		server := asynq.NewServerFromRedisClient(rdb, asynq.Config{Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel, TaskCheckInterval: 10 * time.Millisecond})
		if err := server.Start(asynq.NewServeMux()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Shutdown)
		if err := lease.NewQueue(rdb, queue).Register(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	for deadline := time.Now().Add(time.Minute); ; {
		servers, err := inspector.Servers()
		if err == nil && len(servers) == len(names) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d servers run, %v", len(servers), len(names), err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

const redisPassword = "geheim-redis"

// locked is a client of a Redis that asks for a password.
func locked(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, Password: redisPassword})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func TestExamine_FindsAServiceWell(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--requirepass", redisPassword)
	rdb := locked(t, server)
	startWorkers(t, rdb, kinds...)
	p := newPractice(t, rdb)
	var made atomic.Int64
	p.opts.Progress = func(_, total int) {
		if made.Add(1); total != 9 {
			t.Errorf("%d checks are to be made", total)
		}
	}
	checks, text := p.examine()
	for name, want := range map[string]string{
		"redis": "version ", "redis_access": "Redis asks for a password", "clock": "this machine's clock is ", "workers": "1 worker runs",
		"marksign": "marksign.example answers in ", "callback": " took a test event in ",
		"signature": "what is signed verifies with the secret, and with the public key", "api_keys": "2 keys for the HTTP API",
	} {
		if c := checks[name]; c.Status != OK || !strings.HasPrefix(c.Detail, want) && !strings.Contains(c.Detail, want) || c.Advice != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	events, refused := p.receiver.Events()
	if len(events) != 1 || refused != 0 || events[0].Type != webhook.Test || events[0].Count != 1 || !strings.HasPrefix(events[0].ID, "evt_test_") {
		t.Errorf("the receiver got %+v, and refused %d", events, refused)
	}
	if made.Load() != 9 || !strings.Contains(text, "\n9 ok\n") {
		t.Errorf("%d checks were told of:\n%s", made.Load(), text)
	}
	if len(p.sim.Sessions()) != 0 {
		t.Error("MarkSign has a session")
	}
}
