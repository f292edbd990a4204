package worker

import (
	"context"
	"errors"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/webhook"
)

// metrics are what a worker counts. Their labels are names of accounts, queues
// and states, and hold nothing personal.
type metrics struct {
	polls        *prometheus.CounterVec
	pollSeconds  *prometheus.HistogramVec
	finalAfter   *prometheus.HistogramVec
	rateWait     prometheus.Counter
	attempts     *prometheus.CounterVec
	deliveries   *prometheus.CounterVec
	deliverAfter *prometheus.HistogramVec
	removals     *prometheus.CounterVec
	takenOver    *prometheus.CounterVec
	recordsLost  *prometheus.CounterVec
	unusable     *prometheus.CounterVec
	redisErrors  prometheus.Counter

	unknownAccount prometheus.Counter
	refusedTasks   *prometheus.CounterVec
	queueTasks     *prometheus.GaugeVec
	queueAge       *prometheus.GaugeVec
}

// personSeconds are bounds for what waits for a person: most confirm within 30 s.
var personSeconds = []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900}

// deliverySeconds are bounds from a post at once to the end of the schedule.
var deliverySeconds = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200, 259200}

// newMetrics registers what is counted; with a nil registerer nobody sees it.
func newMetrics(reg prometheus.Registerer, accounts map[string]*account.Account) *metrics {
	auto := promauto.With(reg)
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return auto.NewCounterVec(prometheus.CounterOpts{Name: "identwatch_" + name, Help: help}, labels)
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return auto.NewHistogramVec(prometheus.HistogramOpts{Name: "identwatch_" + name, Help: help, Buckets: buckets}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return auto.NewGaugeVec(prometheus.GaugeOpts{Name: "identwatch_" + name, Help: help}, labels)
	}
	m := &metrics{
		polls:        counters("polls_total", "Polls at MarkSign, by what the answer meant.", "account", "answer"),
		pollSeconds:  histograms("poll_duration_seconds", "Time from a poll to its answer.", prometheus.DefBuckets, "account"),
		finalAfter:   histograms("session_final_seconds", "Time from a session's start to its final outcome.", personSeconds, "account", "outcome"),
		rateWait:     auto.NewCounter(prometheus.CounterOpts{Name: "identwatch_poll_rate_wait_seconds_total", Help: "Time that polls waited because of POLL_RATE, all together."}),
		attempts:     counters("delivery_attempts_total", "Posts to receivers, by what came of them.", "account", "result"),
		deliveries:   counters("deliveries_total", "Events whose delivery has ended, by how.", "account", "result"),
		deliverAfter: histograms("delivery_delay_seconds", "Time from the final outcome to the receiver's 2xx.", deliverySeconds, "account"),
		removals:     counters("removals_total", "Tries to remove a session at MarkSign, by what came of them.", "account", "result"),
		takenOver:    counters("sessions_taken_over_total", "Sessions that another worker, or this one before, had followed.", "account"),
		unusable:     counters("unusable_answers_total", "Sessions that failed because MarkSign answered ok, and no answer could be used.", "account"),
		recordsLost:  counters("records_lost_total", "Tasks whose session's record Redis lost, so that they could not be done.", "account"),
		redisErrors:  auto.NewCounter(prometheus.CounterOpts{Name: "identwatch_redis_errors_total", Help: "Commands that Redis refused or did not answer."}),
		unknownAccount: auto.NewCounter(prometheus.CounterOpts{
			Name: "identwatch_unknown_account_runs_total", Help: "Runs of tasks whose account this worker does not have; they wait.",
		}),
		refusedTasks: counters("refused_task_runs_total", "Runs of tasks that are not signed with a key of the account's TASK_KEYS; they wait.", "account"),
		queueTasks:   gauges("queue_tasks", "Tasks in Redis, by queue and state.", "queue", "state"),
		queueAge:     gauges("queue_oldest_pending_seconds", "For how long the oldest task has waited for a worker.", "queue"),
	}
	for name := range accounts {
		m.begin(name)
	}
	return m
}

// begin makes the series of an account, so that a rate of them can be told from
// their absence.
func (m *metrics) begin(account string) {
	for _, v := range marksign.Verdicts() {
		m.polls.WithLabelValues(account, v.String())
	}
	m.pollSeconds.WithLabelValues(account)
	for _, typ := range []webhook.Type{webhook.Completed, webhook.Refused, webhook.Expired, webhook.Failed} {
		m.finalAfter.WithLabelValues(account, string(typ))
	}
	for _, result := range []string{deliver.ResultDelivered, deliver.ResultFailed, deliver.ResultGone} {
		m.attempts.WithLabelValues(account, result)
	}
	for _, result := range []string{deliver.ResultDelivered, deliver.ResultGivenUp} {
		m.deliveries.WithLabelValues(account, result)
	}
	m.deliverAfter.WithLabelValues(account)
	for _, result := range []string{string(outcome.Removed), remove.ResultFailed, string(outcome.RemovedUnknown)} {
		m.removals.WithLabelValues(account, result)
	}
	m.takenOver.WithLabelValues(account)
	m.recordsLost.WithLabelValues(account)
	m.unusable.WithLabelValues(account)
	m.refusedTasks.WithLabelValues(account)
}

// standing tells, when it is asked, what a worker has in hand.
type standingMetrics struct {
	worker                       *Worker
	followed, rejected, circuits *prometheus.Desc
}

var _ prometheus.Collector = (*standingMetrics)(nil)

func newStandingMetrics(w *Worker) *standingMetrics {
	return &standingMetrics{
		worker:   w,
		followed: prometheus.NewDesc("identwatch_sessions_followed", "Sessions that this process follows.", []string{"account"}, nil),
		rejected: prometheus.NewDesc("identwatch_account_rejected", "1 while MarkSign rejects the account's access token or configuration, else 0.", []string{"account"}, nil),
		circuits: prometheus.NewDesc("identwatch_receiver_circuits", "Hosts of receivers, by the state of their circuit.", []string{"state"}, nil),
	}
}

// Describe is called by the registry.
func (s *standingMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- s.followed
	out <- s.rejected
	out <- s.circuits
}

// Collect is called by the registry at each scrape.
func (s *standingMetrics) Collect(out chan<- prometheus.Metric) {
	followed := s.worker.follower.Counts()
	for name, a := range s.worker.accounts {
		out <- prometheus.MustNewConstMetric(s.followed, prometheus.GaugeValue, float64(followed[name]), name)
		rejected := 0.0
		if a.IsRejected() {
			rejected = 1
		}
		out <- prometheus.MustNewConstMetric(s.rejected, prometheus.GaugeValue, rejected, name)
	}
	circuits := s.worker.hosts.States()
	for _, state := range []hosts.State{hosts.Closed, hosts.HalfOpen, hosts.Open} {
		out <- prometheus.MustNewConstMetric(s.circuits, prometheus.GaugeValue, float64(circuits[state]), string(state))
	}
}

// redisHook counts what Redis refused or did not answer.
type redisHook struct{ errors prometheus.Counter }

var _ redis.Hook = redisHook{}

// DialHook is called by go-redis.
func (h redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		h.count(err)
		return conn, err
	}
}

// ProcessHook is called by go-redis.
func (h redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.count(err)
		return err
	}
}

// ProcessPipelineHook is called by go-redis.
func (h redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.count(err)
		return err
	}
}

// count leaves out what is no trouble: nothing found, by Redis or by a script of
// asynq's, a script that is sent next,
// calls that the worker itself ended, and what go-redis tells a new connection of
// itself, which not every Redis understands.
func (h redisHook) count(err error) {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) ||
		redis.HasErrorPrefix(err, "NOSCRIPT") || redis.HasErrorPrefix(err, "unknown") || redis.HasErrorPrefix(err, "NOT FOUND") {
		return
	}
	h.errors.Inc()
}
