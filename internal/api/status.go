package api

import (
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/webhook"
)

// SessionStatus says where a session stands. Nothing in it is personal.
type SessionStatus struct {
	Token         string     `json:"token" example:"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f" doc:"MarkSign's session token."`
	Account       string     `json:"account" example:"default" doc:"The account that the session belongs to: the key's."`
	State         string     `json:"state" enum:"waiting,following,delivering,delivered,removed,given_up,cancelled" example:"removed" doc:"waiting: no worker took it yet. following: it is polled. delivering: it is final, and its event is posted until a receiver answers with 2xx. delivered: that was so. removed: delivered, and removed at MarkSign. given_up: no receiver answered in time. cancelled: the application ended it."`
	Outcome       *string    `json:"outcome" example:"identification.completed" doc:"The type of the event; null while the session is not final."`
	Reason        *string    `json:"reason" example:"refused" doc:"Why there was no identification; null where there was one, or it is not known yet."`
	Removal       *string    `json:"removal" example:"removed" doc:"pending, removed or unknown; null while the removal at MarkSign is not due."`
	Polls         int        `json:"polls" minimum:"0" example:"7" doc:"How often MarkSign was asked; known once the session is final."`
	Attempts      int        `json:"attempts" minimum:"0" example:"1" doc:"How often the event was posted."`
	Removals      int        `json:"removals" minimum:"0" example:"1" doc:"How often the removal was tried."`
	LastError     *string    `json:"last_error" example:"HTTP 503" doc:"Why the last attempt failed, in words that are safe to show; null where none did."`
	StartedAt     *time.Time `json:"started_at" doc:"When a worker first took it; null: not yet."`
	FinalAt       *time.Time `json:"final_at" doc:"When its outcome was known; null: not yet."`
	EndedAt       *time.Time `json:"ended_at" doc:"When it was delivered, given up or cancelled; null: not yet."`
	RemovedAt     *time.Time `json:"removed_at" doc:"When it was removed at MarkSign; null: not yet."`
	KeptUntil     *time.Time `json:"kept_until" doc:"Until when the session is kept at MarkSign because MarkSign's answer could not be used, so that an operator can look; null where it is not kept."`
	NextAttemptAt *time.Time `json:"next_attempt_at" doc:"When the event is posted again at the latest: a worker posts it sooner if its pause is over or the receiver is back. Null if no attempt is planned."`
}

func statusOf(s admin.Status) SessionStatus {
	return SessionStatus{
		Token: s.Token, Account: s.Account, State: string(s.State),
		Outcome: orNull(s.Outcome), Reason: orNull(s.Reason), Removal: orNull(s.Removal),
		Polls: s.Polls, Attempts: s.Attempts, Removals: s.Removals, LastError: orNull(webhook.PublicDetail(s.LastError)),
		StartedAt: timeOrNull(s.StartedAt), FinalAt: timeOrNull(s.FinalAt), EndedAt: timeOrNull(s.EndedAt),
		RemovedAt: timeOrNull(s.RemovedAt), KeptUntil: timeOrNull(s.KeptUntil), NextAttemptAt: timeOrNull(s.NextAttempt),
	}
}

// orNull makes what is not there JSON's null.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
