package api

import (
	"bytes"
	"log/slog"
	"sync"
)

// newLog writes to a buffer that one may read when no call is under way.
func newLog(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(&locked{to: to}, nil))
}

type locked struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}
