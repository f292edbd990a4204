package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/identwatch/identwatch/internal/admin"
)

const exampleToken = "1c5cd62c-bbf7-779e-3fb4-bad3433ad83f" //nolint:gosec // of a session that never was

var exampleSession = NewSession{
	Token: exampleToken, Method: "smart_id", Reference: "order-1842", CallbackURL: "https://shop.example/webhooks/identwatch",
	Checks: []string{"peps", "sanctions"}, StartedAt: exampleTime(0),
}

// exampleTime is so many seconds after the example session's start.
func exampleTime(seconds int) time.Time {
	return time.Date(2026, 11, 21, 20, 50, 41+seconds, 0, time.UTC)
}

var requestExamples = map[string]map[string]*huma.Example{
	"createSession": {
		"least": {Summary: "The least", Value: NewSession{Token: exampleToken, Method: "smart_id"}},
		"whole": {Summary: "With everything", Value: exampleSession},
	},
	"createSessions": {"two": {Summary: "Two sessions", Value: Batch{Sessions: []NewSession{
		exampleSession, {Token: "5d3a97f0", Method: "mobile_id"},
	}}}},
	"sendTestEvent": {
		"own":   {Summary: "To the account's own callback URL", Value: TestEventRequest{}},
		"other": {Summary: "To another", Value: TestEventRequest{CallbackURL: "https://shop.example/webhooks/identwatch"}},
	},
}

func exampleStatus(state admin.State, change func(*admin.Status)) SessionStatus {
	s := admin.Status{Account: "default", Token: exampleToken, State: state}
	if change != nil {
		change(&s)
	}
	return statusOf(s)
}

func exampleStatusCode() *int {
	code := http.StatusNoContent
	return &code
}

var answerExamples = map[string]any{
	"createSession": exampleStatus(admin.Waiting, nil),
	"createSessions": BatchAnswer{Enqueued: 1, Invalid: 1, Results: []BatchResult{
		{Token: exampleToken, Result: enqueued},
		{Result: refusedIt, Errors: []FieldError{{"method", "is required: smart_id or mobile_id"}}},
	}},
	"getSession": exampleStatus("removed", func(s *admin.Status) {
		s.Outcome, s.Removal, s.Polls, s.Attempts, s.Removals = "identification.completed", "removed", 7, 1, 1
		s.StartedAt, s.FinalAt, s.EndedAt, s.RemovedAt = exampleTime(1), exampleTime(22), exampleTime(22), exampleTime(24)
	}),
	"cancelSession": exampleStatus("cancelled", func(s *admin.Status) {
		s.Removal, s.StartedAt, s.FinalAt, s.EndedAt = "pending", exampleTime(1), exampleTime(9), exampleTime(9)
	}),
	"redeliverSession": exampleStatus("delivering", func(s *admin.Status) {
		s.Outcome, s.Removal, s.Polls, s.Attempts, s.Removals, s.LastError = "identification.completed", "removed", 7, 19, 1, "HTTP 503"
		s.StartedAt, s.FinalAt, s.RemovedAt, s.NextAttempt = exampleTime(1), exampleTime(22), exampleTime(262801), exampleTime(300000)
	}),
	"sendTestEvent": TestEventAnswer{
		Delivered: true, HTTPStatus: exampleStatusCode(), Detail: "HTTP 204",
		WebhookID: "evt_test_5f0c2a9be1c84d7f9a3be0c4d1f2a6b8", DurationMS: 87,
	},
}

// commonProblems are the same for every operation.
var commonProblems = map[int]*Problem{
	http.StatusUnauthorized:          errNoKey,
	http.StatusNotFound:              errNoSession,
	http.StatusNotAcceptable:         errNotAcceptable,
	http.StatusUnsupportedMediaType:  errMediaType,
	http.StatusBadRequest:            errMalformed,
	http.StatusRequestEntityTooLarge: tooLarge(maxBody),
	http.StatusInternalServerError:   errInternal,
	http.StatusServiceUnavailable:    errUnavailable,
	http.StatusTooManyRequests:       errNoSlot,
	http.StatusGone:                  refused(admin.ErrDataErased),
	http.StatusUnprocessableEntity:   invalid(faults{list: []FieldError{{"callback_url", "must not hold a fragment"}}}),
}

// exampleProblem is what an operation answers with a status.
func exampleProblem(operationID string, status int) *Problem {
	switch {
	case status == http.StatusRequestEntityTooLarge && operationID == "createSessions":
		return tooLarge(maxBatchBody)
	case status == http.StatusTooManyRequests && operationID == "sendTestEvent":
		return errBusy
	case status != http.StatusConflict:
		return commonProblems[status]
	case operationID == "createSession":
		return errDuplicate
	case operationID == "cancelSession":
		stands, _ := answerExamples["getSession"].(SessionStatus)
		return outcomeFirst(stands)
	}
	return refused(admin.ErrNotGivenUp)
}
