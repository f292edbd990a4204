package worker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/tasks"
)

// series are the values of a registry by name and labels, as in
// `identwatch_polls_total{account="default",answer="pending"}`. A histogram's value is
// its number of observations.
func series(t testing.TB, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := family.GetName()
			if labels != nil {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			values[name] = valueOf(m)
		}
	}
	return values
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

func TestMetrics_CountWhatHappens(t *testing.T) {
	inWorld(t, func(w *world) {
		reg := prometheus.NewRegistry()
		w.receiver.answer = func(r *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 && strings.HasSuffix(r.URL.Path, "/fails-once") {
				return http.StatusInternalServerError, 0, nil
			}
			if strings.HasSuffix(r.URL.Path, "/gone") {
				return http.StatusGone, 0, nil
			}
			return http.StatusNoContent, 0, nil
		}
		to := func(path string) func(*tasks.Session) {
			return func(s *tasks.Session) { s.CallbackURL = "https://app.example" + path }
		}
		w.start(func(o *Options) { o.Metrics = reg; o.PollRate = 3 })
		w.session("a", confirming(2500*time.Millisecond))
		w.session("b", marksim.Person{Outcome: marksim.Refuses}, to("/fails-once"))
		w.session("c", confirming(0), to("/gone"))
		w.session("waits", marksim.Person{Outcome: marksim.Waits})
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, BadGateway: 1})
		time.Sleep(10 * time.Second)
		w.sim.SetFaults()
		w.await("three are removed", time.Minute, func() bool {
			return !w.seen("a").RemovedAt.IsZero() && !w.seen("b").RemovedAt.IsZero() && !w.seen("c").RemovedAt.IsZero()
		})
		w.start(func(o *Options) { o.Accounts[0].Name = "default" }) // without Metrics
		time.Sleep(6 * time.Second)
		got := series(t, reg)
		for name, want := range map[string]float64{
			`identwatch_sessions_followed{account="default"}`:                                        1,
			`identwatch_polls_total{account="default",answer="identified"}`:                          2,
			`identwatch_polls_total{account="default",answer="refused"}`:                             1,
			`identwatch_session_final_seconds{account="default",outcome="identification.completed"}`: 2,
			`identwatch_session_final_seconds{account="default",outcome="identification.refused"}`:   1,
			`identwatch_delivery_attempts_total{account="default",result="delivered"}`:               2,
			`identwatch_delivery_attempts_total{account="default",result="failed"}`:                  1,
			`identwatch_delivery_attempts_total{account="default",result="gone"}`:                    1,
			`identwatch_deliveries_total{account="default",result="delivered"}`:                      2,
			`identwatch_deliveries_total{account="default",result="given_up"}`:                       1,
			`identwatch_delivery_delay_seconds{account="default"}`:                                   2,
			`identwatch_removals_total{account="default",result="removed"}`:                          3,
			`identwatch_removals_total{account="default",result="unknown"}`:                          0,
			`identwatch_receiver_circuits{state="closed"}`:                                           1,
			`identwatch_receiver_circuits{state="open"}`:                                             0,
			`identwatch_waiting_events`:                                                              0,
			`identwatch_account_rejected{account="default"}`:                                         0,
			`identwatch_queue_tasks{queue="identwatch-follow",shard="0",state="retry"}`:              1,
			`identwatch_queue_tasks{queue="identwatch-follow",shard="0",state="completed"}`:          3,
			`identwatch_queue_oldest_pending_seconds{queue="identwatch-deliver",shard="0"}`:          0,
			`identwatch_sessions_taken_over_total{account="default"}`:                                0,
			`identwatch_unusable_answers_total{account="default"}`:                                   0,
			`identwatch_redis_errors_total`:                                                          0,
		} {
			if value, there := got[name]; !there || value != want {
				t.Errorf("%s is %v (there: %t), want %v", name, value, there, want)
			}
		}
		if failed := got[`identwatch_removals_total{account="default",result="failed"}`]; failed < 3 {
			t.Errorf("%v failed removals", failed)
		}
		if polls, n := got[`identwatch_poll_duration_seconds{account="default"}`], got[`identwatch_polls_total{account="default",answer="pending"}`]; n == 0 || polls < n+3 {
			t.Errorf("%v polls were timed, %v were pending", polls, n)
		}
		if got[`identwatch_poll_rate_wait_seconds_total`] == 0 {
			t.Error("nobody waited for POLL_RATE")
		}
		if faults, err := testutil.GatherAndLint(reg); err != nil || len(faults) > 0 {
			t.Errorf("against Prometheus's conventions: %v, %v", faults, err)
		}
	})
}

func TestMetrics_TellOfTroubleAndTakeovers(t *testing.T) {
	inWorld(t, func(w *world) {
		first, second := prometheus.NewRegistry(), prometheus.NewRegistry()
		p := w.start(func(o *Options) { o.Metrics = first })
		w.session("a", confirming(40*time.Second))
		time.Sleep(3 * time.Second)
		p.cut()
		w.sim.SetFaults(marksim.Faults{RejectToken: true})
		w.start(func(o *Options) { o.Metrics = second })
		time.Sleep(25 * time.Second)
		got := series(t, second)
		if got[`identwatch_sessions_taken_over_total{account="default"}`] != 1 || got[`identwatch_account_rejected{account="default"}`] != 1 ||
			got[`identwatch_polls_total{account="default",answer="rejected"}`] < 3 {
			t.Errorf("the second worker: %v", got)
		}
		if got := series(t, first); got[`identwatch_redis_errors_total`] == 0 {
			t.Error("the first worker, cut off from Redis, counted no error of Redis")
		}
		w.sim.SetFaults()
		w.awaitEnd("a", time.Minute)
	})
}
