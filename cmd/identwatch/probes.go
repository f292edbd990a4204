package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Reasons say why not, in words that are safe to show.
	Reasons []string `json:"reasons,omitempty"`
}

// readyTimeout bounds the question whether the worker is ready.
const readyTimeout = 2 * time.Second

// probes answers /healthz, which is 200 while the process lives, and /readyz,
// which is 200 while ready returns nil and the process is not stopping.
func probes(stopping <-chan struct{}, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			answerReadiness(w, errors.New("stopping"))
		default:
			ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
			defer cancel()
			answerReadiness(w, ready(ctx))
		}
	})
	return mux
}

func answerReadiness(w http.ResponseWriter, fault error) {
	answer, status := readiness{Ready: fault == nil}, http.StatusOK
	if fault != nil {
		answer.Reasons, status = []string{fault.Error()}, http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body, err := json.Marshal(answer); err == nil {
		_, _ = w.Write(append(body, '\n'))
	}
}
