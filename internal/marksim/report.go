package marksim

import (
	"encoding/json"
	"net/http"
	"time"
)

// Report is a [Snapshot] as programs read it. Nothing in it is personal.
type Report struct {
	Token        string    `json:"token"`
	Method       string    `json:"method"`
	Outcome      Outcome   `json:"outcome"`
	StartedAt    time.Time `json:"started_at"`
	Polls        int       `json:"polls"`
	FirstPollAt  time.Time `json:"first_poll_at,omitzero"`
	LastPollAt   time.Time `json:"last_poll_at,omitzero"`
	MaxPollGapMS int64     `json:"max_poll_gap_ms"`
	FinalAt      time.Time `json:"final_at,omitzero"`
	FinalSeenAt  time.Time `json:"final_seen_at,omitzero"`
	FinalPolls   int       `json:"final_polls"`
	Removes      int       `json:"removes"`
	RemovedAt    time.Time `json:"removed_at,omitzero"`
}

func newReport(s Snapshot) Report {
	return Report{
		Token: s.Token, Method: s.Method, Outcome: s.Outcome, StartedAt: s.StartedAt,
		Polls: s.Polls, FirstPollAt: s.FirstPollAt, LastPollAt: s.LastPollAt, MaxPollGapMS: s.MaxPollGap.Milliseconds(),
		FinalAt: s.FinalAt, FinalSeenAt: s.FinalSeenAt, FinalPolls: s.FinalPolls,
		Removes: s.Removes, RemovedAt: s.RemovedAt,
	}
}

// WithReports is the simulator, and under GET /simulator/sessions a [Report] of each
// session, in the order of their start.
func (s *Simulator) WithReports() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.HandleFunc("GET /simulator/sessions", func(w http.ResponseWriter, _ *http.Request) {
		reports := []Report{}
		for _, snapshot := range s.Sessions() {
			reports = append(reports, newReport(snapshot))
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reports)
	})
	return mux
}
