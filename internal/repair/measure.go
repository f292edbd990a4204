package repair

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/identwatch/identwatch/internal/lease"
)

// Metrics are the counts of the queues.
type Metrics struct {
	Tasks *prometheus.GaugeVec // queue, state
	Age   *prometheus.GaugeVec // queue
}

// measure counts the tasks of the queues. It also makes the queues known again,
// because a Redis that lost its data does not know them.
func (r *Repairer) measure(ctx context.Context) {
	if time.Since(r.measured) < measurePause {
		return
	}
	r.measured = time.Now()
	for _, q := range r.opts.Queues {
		sizes, err := q.Tasks.Sizes(ctx)
		if err == nil {
			err = q.Tasks.Register(ctx)
		}
		if err != nil {
			r.opts.Metrics.forget()
			r.opts.Log.Debug("measuring a queue failed", "error", err)
			return
		}
		r.opts.Metrics.set(q.Tasks.Name(), sizes)
	}
}

// forget drops all counts: Redis does not say.
func (m Metrics) forget() {
	m.Tasks.Reset()
	m.Age.Reset()
}

func (m Metrics) set(queue string, sizes lease.Sizes) {
	for state, n := range sizes.Tasks {
		m.Tasks.WithLabelValues(queue, state).Set(float64(n))
	}
	m.Age.WithLabelValues(queue).Set(sizes.OldestPending.Seconds())
}
