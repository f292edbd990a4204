package stage

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/httpd"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// stack is everything that runs. Each has keys of its own.
type stack struct {
	accessToken string
	apiKey      string // of the HTTP API
	metrics     *prometheus.Registry
	sender      *webhook.Sender
	redis       *miniredis.Miniredis
	client      *redis.Client
	tasks       *tasks.Client
	simulator   *marksim.Simulator
	receiver    *receiver.Receiver
	verifier    webhook.Verifier
	servers     []*httpd.Server  // the simulator's and the receiver's
	shut        closed.Addresses // to callbacks
	worker      *worker.Worker
}

// openStack opens all on free ports of the loopback address. What it opened is
// closed by close, also after an error.
func openStack(ctx context.Context, b *board, log *slog.Logger) (*stack, error) {
	secret, key := webhook.NewSecret(), webhook.NewSigningKey()
	s := &stack{
		accessToken: "demo-" + rand.Text(), apiKey: api.NewKey(),
		metrics: prometheus.NewRegistry(), redis: miniredis.NewMiniRedis(),
	}
	s.simulator = marksim.New(marksim.Options{AccessToken: s.accessToken, OnEvent: b.simulated})
	b.lookUp = s.simulator.Session
	s.verifier = webhook.Verifier{Secrets: []webhook.Secret{secret}, PublicKeys: []webhook.PublicKey{key.Public()}}
	s.receiver = receiver.New(receiver.Options{Verifier: s.verifier, OnDelivery: b.received})
	if err := s.listen(ctx); err != nil {
		return s, err
	}
	signer, err := webhook.NewSigner([]webhook.Secret{secret}, &key)
	if err != nil {
		return s, err
	}
	return s, s.employ(signer, log)
}

func (s *stack) listen(ctx context.Context) error {
	if err := s.redis.StartAddr("127.0.0.1:0"); err != nil {
		return fmt.Errorf("starting the embedded Redis: %w", err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.redis.Addr(), PoolSize: 64})
	s.shut.Redis(s.redisURL())
	for _, handler := range []http.Handler{s.simulator, s.receiver} {
		server, err := httpd.Start(ctx, httpd.Options{Addr: "127.0.0.1:0", Handler: handler})
		if err != nil {
			return fmt.Errorf("listening on the loopback address: %w", err)
		}
		s.servers = append(s.servers, server)
	}
	s.shut.Listen(s.servers[0].Addr())
	return nil
}

// deliveryTimeout is how long the receiver has to answer, as by default.
const deliveryTimeout = 15 * time.Second

// employ makes the worker and the application's client.
func (s *stack) employ(signer *webhook.Signer, log *slog.Logger) error {
	var err error
	s.sender, err = webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Closed: s.shut.Contain, Timeout: deliveryTimeout,
	})
	if err != nil {
		return err
	}
	outcomeKey := make([]byte, 32)
	_, _ = rand.Read(outcomeKey) // it never fails: see crypto/rand
	s.worker, err = worker.New(worker.Options{
		Redis: s.client,
		Accounts: []worker.Account{{
			MarkSign: worker.MarkSign{BaseURL: s.markSignURL(), AccessToken: s.accessToken},
			Sender:   s.sender, CallbackURL: s.callbackURL(),
		}},
		OutcomeKeys: [][]byte{outcomeKey},
		Metrics:     s.metrics,
		Logger:      log,

		DeliveryTimeout: deliveryTimeout,
	})
	if err != nil {
		return err
	}
	s.tasks, err = tasks.NewClient(tasks.ClientConfig{Redis: s.client})
	return err
}

func (s *stack) markSignURL() string { return s.servers[0].URL() }
func (s *stack) receiverURL() string { return s.servers[1].URL() }
func (s *stack) callbackURL() string { return s.receiverURL() + "/" }
func (s *stack) redisURL() string    { return "redis://" + s.redis.Addr() + "/0" }

// run follows sessions until ctx ends.
func (s *stack) run(ctx context.Context) error {
	ticking, stop := context.WithCancel(ctx)
	defer stop()
	go s.tick(ticking)
	return s.worker.Run(ctx)
}

// tick tells the embedded Redis the time, without which its keys do not expire.
func (s *stack) tick(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			s.redis.FastForward(time.Second)
		}
	}
}

// close is called once run has returned.
func (s *stack) close(ctx context.Context) {
	for _, server := range s.servers {
		server.Stop(ctx, time.Second)
	}
	if s.client != nil {
		_ = s.client.Close()
	}
	s.redis.Close()
}
