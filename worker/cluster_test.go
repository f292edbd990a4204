package worker

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/webhook"
)

// onCluster is a worker that does not run, on a cluster of three masters.
func onCluster(t *testing.T, reg prometheus.Registerer) (*Worker, *redistest.Cluster) {
	t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{testSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	c := redistest.StartCluster(t, 3, 0)
	w, err := New(Options{
		Redis: c.Client(), OutcomeKeys: [][]byte{make([]byte, 32)}, Logger: slog.New(slog.DiscardHandler), Metrics: reg,
		Accounts: []Account{{MarkSign: MarkSign{BaseURL: "https://marksign.example", AccessToken: accessToken}, Sender: sender}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, c
}

// The sessions of the other masters go on, so that the worker is of use.
func TestReady_WhileOneMasterOfAClusterAnswers(t *testing.T) {
	t.Parallel()
	w, c := onCluster(t, nil)
	w.running.Store(true)
	for i, node := range c.Nodes {
		if err := w.Ready(t.Context()); err != nil {
			t.Errorf("with %d of %d masters down: %v", i, len(c.Nodes), err)
		}
		node.Kill()
	}
	if w.Ready(t.Context()) == nil {
		t.Error("ready without a master")
	}
}

// Each call that fails is counted once, and each try to connect.
func TestMetrics_CountWhatNoMasterAnswers(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	w, c := onCluster(t, reg)
	c.MasterOf("key").Kill()
	var dialled atomic.Int64
	w.opts.Redis.(*redis.ClusterClient).OnNewNode(func(node *redis.Client) { node.AddHook(dials{&dialled}) })
	if err := w.opts.Redis.Get(t.Context(), "key").Err(); err == nil {
		t.Fatal("a master that is down answers")
	}
	if n := series(t, reg)["identwatch_redis_errors_total"]; dialled.Load() == 0 || n != float64(dialled.Load()+1) {
		t.Errorf("counted %v errors of one call, which dialled %d times in vain", n, dialled.Load())
	}
}

// dials counts the tries to connect that fail.
type dials struct{ failed *atomic.Int64 }

func (d dials) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			d.failed.Add(1)
		}
		return conn, err
	}
}

func (dials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (dials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
