// Package defect reports panics.
package defect

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Log logs where a panic happened, and not what it said, which may be personal. It
// is called by the function that recovers.
func Log(log *slog.Logger, session string, cause any) {
	log.Error("a defect in identwatch", "session", session, "panic", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
}
