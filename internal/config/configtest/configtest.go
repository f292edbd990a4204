// Package configtest sets the environment that tests load a configuration from.
package configtest

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
)

// Set sets these variables, and clears all others of identwatch, until the test ends.
func Set(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, s := range config.Settings() {
		t.Setenv(s.Name, "")
		t.Setenv(s.Name+"_FILE", "")
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// Secrets are what serve requires beside Redis, and a LISTEN of its own.
func Secrets() map[string]string {
	return map[string]string{
		"MARKSIGN_ACCESS_TOKEN": "access-token-1", "WEBHOOK_SECRETS": "whsec_" + Key(32, 1), "OUTCOME_KEYS": Key(32, 2),
		"LISTEN": "127.0.0.1:0",
	}
}

// Key is n bytes of one value, in base64.
func Key(n int, fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, n))
}
