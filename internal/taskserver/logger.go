package taskserver

import (
	"fmt"
	"log/slog"
)

// asynqLogger gives asynq's messages to slog. They name tasks by id and hold
// what handlers returned, which is nothing personal.
type asynqLogger struct {
	log    *slog.Logger
	warned func() // see Options.Trouble
}

// Debug is for asynq's developers only.
func (asynqLogger) Debug(...any) {}

// Info is what asynq does in the ordinary course.
func (l asynqLogger) Info(args ...any) { l.log.Debug("asynq", "says", fmt.Sprint(args...)) }

// Warn is what asynq repairs itself.
func (l asynqLogger) Warn(args ...any) {
	l.warned()
	l.log.Warn("asynq", "says", fmt.Sprint(args...))
}

// Error is what asynq could not do.
func (l asynqLogger) Error(args ...any) {
	l.warned()
	l.log.Error("asynq", "says", fmt.Sprint(args...))
}

// Fatal is never called by a server; it must not end the process.
func (l asynqLogger) Fatal(args ...any) { l.Error(args...) }
