package receiver

import (
	"encoding/json"
	"net/http"
)

// Report is what came of all requests, as programs read it. It holds nothing of a
// person.
type Report struct {
	Events  []Seen `json:"events"`
	Refused int    `json:"refused"` // requests that were not accepted
}

// WithReport is the receiver, and under GET /receiver/events its [Report].
func (r *Receiver) WithReport() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", r)
	mux.HandleFunc("GET /receiver/events", func(w http.ResponseWriter, _ *http.Request) {
		events, refused := r.Events()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(Report{append([]Seen{}, events...), refused})
	})
	return mux
}
