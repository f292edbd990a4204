package repair

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/session"
)

// Metrics are the counts of the queues.
type Metrics struct {
	Tasks *prometheus.GaugeVec // queue, shard, state
	Age   *prometheus.GaugeVec // queue, shard
}

// measure counts the tasks of the queues.
func (r *Repairer) measure(ctx context.Context) {
	if time.Since(r.measured) < measurePause {
		return
	}
	r.measured = time.Now()
	for _, q := range r.opts.Queues {
		sizes, err := q.Tasks.Sizes(ctx)
		if err != nil {
			r.opts.Metrics.forget(r.opts.Shard)
			r.opts.Log.Debug("measuring a queue failed", "error", err)
			return
		}
		r.opts.Metrics.set(q.Tasks.Name(), sizes)
	}
}

// forget drops all counts of a shard: Redis does not say.
func (m Metrics) forget(of session.Shard) {
	its := prometheus.Labels{"shard": strconv.Itoa(of.Number())}
	m.Tasks.DeletePartialMatch(its)
	m.Age.DeletePartialMatch(its)
}

func (m Metrics) set(queue string, sizes lease.Sizes) {
	name, number := session.SplitQueue(queue)
	shard := strconv.Itoa(number)
	for state, n := range sizes.Tasks {
		m.Tasks.WithLabelValues(name, shard, state).Set(float64(n))
	}
	m.Age.WithLabelValues(name, shard).Set(sizes.OldestPending.Seconds())
}
