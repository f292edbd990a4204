package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/hosts"
)

// Standing says, at each scrape, what a worker has in hand. Its functions are called
// by the registry, from any goroutine.
type Standing struct {
	Followed func() map[string]int      // sessions, by account
	Rejected func() map[string]bool     // every account, and whether MarkSign rejects it
	Circuits func() map[hosts.State]int // hosts, by the state of their circuit
	Waiting  func() int                 // events in the lists of their hosts
}

var _ prometheus.Collector = Standing{}

var (
	followed = prometheus.NewDesc("identwatch_sessions_followed", "Sessions that this process follows.", []string{"account"}, nil)
	rejected = prometheus.NewDesc("identwatch_account_rejected", "1 while MarkSign rejects the account's access token or configuration, else 0.", []string{"account"}, nil)
	waiting  = prometheus.NewDesc("identwatch_waiting_events", "Events that wait in this process's memory for their receiver or their next try.", nil, nil)
	circuits = prometheus.NewDesc("identwatch_receiver_circuits", "Hosts of receivers, by the state of their circuit.", []string{"state"}, nil)
)

// Describe is called by the registry.
func (Standing) Describe(out chan<- *prometheus.Desc) {
	out <- followed
	out <- rejected
	out <- circuits
	out <- waiting
}

// Collect is called by the registry at each scrape.
func (s Standing) Collect(out chan<- prometheus.Metric) {
	sessions := s.Followed()
	for name, is := range s.Rejected() {
		out <- prometheus.MustNewConstMetric(followed, prometheus.GaugeValue, float64(sessions[name]), name)
		value := 0.0
		if is {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(rejected, prometheus.GaugeValue, value, name)
	}
	byState := s.Circuits()
	for _, state := range []hosts.State{hosts.Closed, hosts.HalfOpen, hosts.Open} {
		out <- prometheus.MustNewConstMetric(circuits, prometheus.GaugeValue, float64(byState[state]), string(state))
	}
	out <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(s.Waiting()))
}
