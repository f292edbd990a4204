package service

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Reasons say why not, in words that are safe to show.
	Reasons []string `json:"reasons,omitempty"`
	// Details say what else an operator should know; they make nothing less ready.
	Details []string `json:"details,omitempty"`
}

// standing is how the service stands when it is asked.
type standing struct{ reasons, details []string }

// readyTimeout bounds the question whether the worker is ready.
const readyTimeout = 2 * time.Second

// probes answers /healthz, which is 200 while the process lives, and /readyz,
// which is 200 while there is no reason against it and the process is not stopping.
func probes(stopping <-chan struct{}, stands func(context.Context) standing) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			answerReadiness(w, standing{reasons: []string{"stopping"}})
		default:
			ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
			defer cancel()
			answerReadiness(w, stands(ctx))
		}
	})
	return mux
}

func answerReadiness(w http.ResponseWriter, s standing) {
	answer, status := Readiness{Ready: len(s.reasons) == 0, Reasons: s.reasons, Details: s.details}, http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body, err := json.Marshal(answer); err == nil {
		_, _ = w.Write(append(body, '\n'))
	}
}
