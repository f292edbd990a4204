package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/doctor"
)

// A slip in a name is reported where somebody looks: in the log at the start, beside the faults, and by doctor.
func TestUnknown_ASlipInANameIsReported(t *testing.T) {
	variables := secrets()
	variables["REDIS_URL"] = "redis://127.0.0.1:1"
	variables["CALLBACK_ALOW_HTTP"] = "canary"
	environmentOf(t, variables)
	var log bytes.Buffer
	logUnknown(newLogger(&log, slog.LevelInfo, "json"))
	if !strings.Contains(log.String(), `"level":"WARN"`) || !strings.Contains(log.String(), `"meant":"CALLBACK_ALLOW_HTTP"`) {
		t.Errorf("the log says %s", log.String())
	}
	if report := examinedJSON(t, exitFailed); report.Checks[0].Status != doctor.Warning || !strings.Contains(report.Checks[0].Detail, "did you mean CALLBACK_ALLOW_HTTP?") {
		t.Errorf("doctor says %+v", report.Checks[0])
	}
	variables["LEASE"] = "never"
	environmentOf(t, variables)
	code, _, stderr := exec(t, "", "serve")
	if code != exitUsage || !strings.Contains(stderr, "CALLBACK_ALOW_HTTP is no setting: did you mean CALLBACK_ALLOW_HTTP?") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, text := range []string{log.String(), stderr} {
		if strings.Contains(text, "canary") {
			t.Errorf("the value is shown: %s", text)
		}
	}
}

// serve warns before it does anything else.
func TestServe_WarnsOfASlipInAName(t *testing.T) {
	variables := secrets()
	variables["REDIS_URL"] = "redis://127.0.0.1:1"
	variables["MARKSING_URL"] = "canary"
	environmentOf(t, variables)
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	cancel() // it stops at once
	run(ctx, []string{"serve"}, strings.NewReader(""), &bytes.Buffer{}, &stderr)
	if !strings.Contains(stderr.String(), `"meant":"MARKSIGN_URL"`) || strings.Contains(stderr.String(), "canary") {
		t.Errorf("it says %s", stderr.String())
	}
}
