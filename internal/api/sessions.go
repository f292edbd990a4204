package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// create enqueues one session.
func (a *API) create(ctx context.Context, c call) (answer, error) {
	accepted, found := c.account.readSession(c.body)
	if found.any() {
		return answer{}, invalid(found)
	}
	settle, err := a.census.admit(ctx, c.account.name, []session.Name{nameOf(accepted)})
	if err != nil {
		return answer{}, err
	}
	entered := 0
	defer func() { settle(entered) }()
	err = c.account.client.Enqueue(ctx, accepted)
	if errors.Is(err, tasks.ErrDuplicate) {
		return answer{}, errDuplicate
	}
	if err != nil {
		return answer{}, err
	}
	entered = 1
	waiting := admin.Status{Account: accepted.Account, Token: accepted.Token, State: admin.Waiting}
	return answer{http.StatusAccepted, "/v1/sessions/" + url.PathEscape(accepted.Token), statusOf(waiting)}, nil
}

// nameOf names a session that was found valid.
func nameOf(valid tasks.Session) session.Name {
	return session.Job{Account: valid.Account, Token: valid.Token}.Name()
}

// read says where a session stands.
func (a *API) read(ctx context.Context, c call) (answer, error) {
	name, err := session.NewName(c.account.name, c.token)
	if err != nil {
		return answer{}, errNoSession
	}
	status, err := a.sessions.Status(ctx, name)
	if errors.Is(err, admin.ErrNoSession) {
		return answer{}, errNoSession
	}
	return answer{status: http.StatusOK, body: statusOf(status)}, err
}

// cancel ends a session.
func (a *API) cancel(ctx context.Context, c call) (answer, error) {
	name, err := session.NewName(c.account.name, c.token)
	if err != nil {
		return answer{}, errNoSession
	}
	status, err := a.sessions.Cancel(ctx, name)
	switch {
	case errors.Is(err, admin.ErrNoSession):
		return answer{}, errNoSession
	case errors.Is(err, admin.ErrOutcomeFirst):
		return answer{}, outcomeFirst(statusOf(status))
	}
	return answer{status: http.StatusOK, body: statusOf(status)}, err
}

// redeliver has a given-up event posted once more.
func (a *API) redeliver(ctx context.Context, c call) (answer, error) {
	name, err := session.NewName(c.account.name, c.token)
	if err != nil {
		return answer{}, errNoSession
	}
	refusal := a.sessions.Redeliver(ctx, name)
	if refusal != nil && !admin.IsRefusal(refusal) {
		return answer{}, refusal
	}
	status, err := a.sessions.Status(ctx, name)
	switch {
	case errors.Is(err, admin.ErrNoSession):
		return answer{}, errNoSession
	case err != nil:
		return answer{}, err
	case refusal != nil:
		return answer{}, refused(refusal)
	}
	return answer{status: http.StatusAccepted, body: statusOf(status)}, nil
}

// refused says why an event of a session that is known is not delivered again.
// A session without a record is one that no worker took yet.
func refused(refusal error) *Problem {
	status, code := http.StatusConflict, "not_given_up"
	switch {
	case errors.Is(refusal, admin.ErrDataErased), errors.Is(refusal, admin.ErrResultErased):
		status, code = http.StatusGone, "erased"
	case errors.Is(refusal, admin.ErrCancelled):
		code = "cancelled"
	case errors.Is(refusal, admin.ErrNoRecord):
		refusal = admin.ErrNotGivenUp
	}
	return newProblem(status, code, "The event is not delivered again: "+refusal.Error()+".")
}

// Results of a session in a batch.
const (
	enqueued  = "enqueued"
	duplicate = "duplicate"
	refusedIt = "invalid"
)

// BatchAnswer is what became of a batch.
type BatchAnswer struct {
	Enqueued   int           `json:"enqueued" minimum:"0" example:"1" doc:"How many are new."`
	Duplicates int           `json:"duplicates" minimum:"0" example:"0" doc:"How many were in already."`
	Invalid    int           `json:"invalid" minimum:"0" example:"0" doc:"How many were refused."`
	Results    []BatchResult `json:"results" nullable:"false" doc:"One for each session, in the order of the request."`
}

// BatchResult is what became of one session of a batch.
type BatchResult struct {
	Token  string       `json:"token,omitempty" example:"1c5cd62c-bbf7-779e-3fb4-bad3433ad83f" doc:"The session's token, unless the session is invalid."`
	Result string       `json:"result" enum:"enqueued,duplicate,invalid" example:"enqueued" doc:"duplicate: it is in already, and nothing was changed."`
	Errors []FieldError `json:"errors,omitempty" nullable:"false" doc:"The invalid fields, each once: the first 20 of them."`
	More   int          `json:"more_errors,omitempty" minimum:"1" example:"3" doc:"How many more fields are invalid than errors lists."`
}

// createMany enqueues the sessions of a batch. A trouble with Redis is the
// answer to the whole.
func (a *API) createMany(ctx context.Context, c call) (answer, error) {
	bodies, found, err := readBatch(ctx, c.body)
	if err != nil {
		return answer{}, err
	}
	if found.any() {
		return answer{}, invalid(found)
	}
	if problem := c.account.allowed.charge(len(bodies) - 1); problem != nil { // one was charged for the request
		return answer{}, problem
	}
	batch, err := c.account.judge(ctx, bodies)
	if err != nil {
		return answer{}, err
	}
	settle, err := a.census.admit(ctx, c.account.name, batch.names())
	if err != nil {
		return answer{}, err
	}
	defer func() { settle(batch.answer().Enqueued) }()
	if err := c.account.enqueueAll(ctx, batch); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: batch.answer()}, nil
}

// batch is what is known of the sessions of a request.
type batch struct {
	results  []BatchResult
	sessions []tasks.Session // to enqueue
	places   []int           // of those among the results
}

// names are those of the sessions to enqueue.
func (b batch) names() []session.Name {
	names := make([]session.Name, len(b.sessions))
	for i, s := range b.sessions {
		names[i] = nameOf(s)
	}
	return names
}

// answer is what became of the batch.
func (b batch) answer() BatchAnswer {
	body := BatchAnswer{Results: b.results}
	for _, r := range b.results {
		switch r.Result {
		case enqueued:
			body.Enqueued++
		case duplicate:
			body.Duplicates++
		default:
			body.Invalid++
		}
	}
	return body
}

// judge reads the sessions of a batch. Of two with one token the later is the
// duplicate. Its error is that of ctx.
func (a *account) judge(ctx context.Context, bodies []json.RawMessage) (batch, error) {
	b := batch{results: make([]BatchResult, len(bodies))}
	seen := map[string]bool{}
	for i, body := range bodies {
		if err := ctx.Err(); err != nil {
			return batch{}, err
		}
		session, found := a.readSession(body)
		switch {
		case found.any():
			b.results[i] = BatchResult{Result: refusedIt, Errors: found.list, More: found.more}
		case seen[session.Token]:
			b.results[i] = BatchResult{Token: session.Token, Result: duplicate}
		default:
			seen[session.Token] = true
			b.sessions, b.places = append(b.sessions, session), append(b.places, i)
		}
	}
	return b, nil
}

// enqueueAll enqueues what is to be enqueued of a batch. Its error is one of Redis;
// then it may have enqueued some, and repeating the batch is safe.
func (a *account) enqueueAll(ctx context.Context, b batch) error {
	var failed error
	for i, err := range a.client.EnqueueMany(ctx, b.sessions) {
		result := BatchResult{Token: b.sessions[i].Token, Result: enqueued}
		switch {
		case errors.Is(err, tasks.ErrDuplicate):
			result.Result = duplicate
		case err != nil:
			failed = cmp.Or(failed, err)
			continue
		}
		b.results[b.places[i]] = result
	}
	return failed
}
