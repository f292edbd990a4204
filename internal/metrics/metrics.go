// Package metrics names what a worker counts, and makes the series of each account.
// Labels are names of accounts, queues and states, and hold nothing personal. What
// is counted when is the business of the packages that it is handed to.
//
// Read metrics.go (the names), standing.go (what is asked at each scrape), redis.go
// (what Redis refused).
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/poll"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/repair"
	"github.com/identwatch/identwatch/webhook"
)

// Metrics are what a worker counts.
type Metrics struct {
	Poll    poll.Metrics
	Deliver deliver.Metrics
	Repair  repair.Metrics

	Removals       *prometheus.CounterVec // account, result
	TakenOver      *prometheus.CounterVec // account
	RefusedTasks   *prometheus.CounterVec // account
	RecordsLost    *prometheus.CounterVec // account
	UnknownAccount prometheus.Counter
	RedisErrors    prometheus.Counter
}

// personSeconds are bounds for what waits for a person: most confirm within 30 s.
var personSeconds = []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900}

// deliverySeconds are bounds from a post at once to the end of the schedule.
var deliverySeconds = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200, 259200}

// maker makes metrics whose names begin with identwatch_.
type maker struct{ auto promauto.Factory }

func (m maker) counter(name, help string) prometheus.Counter {
	return m.auto.NewCounter(prometheus.CounterOpts{Name: "identwatch_" + name, Help: help})
}

func (m maker) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return m.auto.NewCounterVec(prometheus.CounterOpts{Name: "identwatch_" + name, Help: help}, labels)
}

func (m maker) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return m.auto.NewHistogramVec(prometheus.HistogramOpts{Name: "identwatch_" + name, Help: help, Buckets: buckets}, labels)
}

func (m maker) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return m.auto.NewGaugeVec(prometheus.GaugeOpts{Name: "identwatch_" + name, Help: help}, labels)
}

// New registers what is counted, and makes the series of the accounts. With a nil
// registerer nobody sees it.
func New(reg prometheus.Registerer, accounts []string) *Metrics {
	m := maker{promauto.With(reg)}
	all := &Metrics{
		Poll: poll.Metrics{
			Polls:    m.counters("polls_total", "Polls at MarkSign, by what the answer meant.", "account", "answer"),
			Seconds:  m.histograms("poll_duration_seconds", "Time from a poll to its answer.", prometheus.DefBuckets, "account"),
			RateWait: m.counter("poll_rate_wait_seconds_total", "Time that polls waited because of POLL_RATE, all together."),
			Unusable: m.counters("unusable_answers_total", "Sessions that failed because MarkSign answered ok, and no answer could be used.", "account"),
		},
		Deliver: deliver.Metrics{
			FinalAfter:   m.histograms("session_final_seconds", "Time from a session's start to its final outcome.", personSeconds, "account", "outcome"),
			Attempts:     m.counters("delivery_attempts_total", "Posts to receivers, by what came of them.", "account", "result"),
			Deliveries:   m.counters("deliveries_total", "Events whose delivery has ended, by how.", "account", "result"),
			DeliverAfter: m.histograms("delivery_delay_seconds", "Time from the final outcome to the receiver's 2xx.", deliverySeconds, "account"),
		},
		Repair: repair.Metrics{
			Tasks: m.gauges("queue_tasks", "Tasks in Redis, by queue, shard and state.", "queue", "shard", "state"),
			Age:   m.gauges("queue_oldest_pending_seconds", "For how long the oldest task has waited for a worker.", "queue", "shard"),
		},
		Removals:       m.counters("removals_total", "Tries to remove a session at MarkSign, by what came of them.", "account", "result"),
		TakenOver:      m.counters("sessions_taken_over_total", "Sessions that another worker, or this one before, had followed.", "account"),
		RefusedTasks:   m.counters("refused_task_runs_total", "Runs of tasks that are not signed with a key of the account's TASK_KEYS; they wait.", "account"),
		RecordsLost:    m.counters("records_lost_total", "Tasks whose session's record Redis lost, so that they could not be done.", "account"),
		UnknownAccount: m.counter("unknown_account_runs_total", "Runs of tasks whose account this worker does not have; they wait."),
		RedisErrors:    m.counter("redis_errors_total", "Commands that Redis refused or did not answer."),
	}
	for _, name := range accounts {
		all.begin(name)
	}
	return all
}

// begin makes the series of an account, so that a rate of them can be told from
// their absence.
func (m *Metrics) begin(account string) {
	for _, v := range marksign.Verdicts() {
		m.Poll.Polls.WithLabelValues(account, v.String())
	}
	for _, typ := range []webhook.Type{webhook.Completed, webhook.Refused, webhook.Expired, webhook.Failed} {
		m.Deliver.FinalAfter.WithLabelValues(account, string(typ))
	}
	for _, result := range []string{deliver.ResultDelivered, deliver.ResultFailed, deliver.ResultGone} {
		m.Deliver.Attempts.WithLabelValues(account, result)
	}
	for _, result := range []string{deliver.ResultDelivered, deliver.ResultGivenUp} {
		m.Deliver.Deliveries.WithLabelValues(account, result)
	}
	for _, result := range []string{string(outcome.Removed), remove.ResultFailed, string(outcome.RemovedUnknown)} {
		m.Removals.WithLabelValues(account, result)
	}
	for _, vec := range []*prometheus.HistogramVec{m.Poll.Seconds, m.Deliver.DeliverAfter} {
		vec.WithLabelValues(account)
	}
	for _, vec := range []*prometheus.CounterVec{m.Poll.Unusable, m.TakenOver, m.RefusedTasks, m.RecordsLost} {
		vec.WithLabelValues(account)
	}
}
