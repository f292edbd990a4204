package api

import (
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Bounds of what a body may take.
const (
	maxBody      = 64 << 10
	maxBatchBody = 4 << 20
)

const sessionPath = "/v1/sessions/{token}"

// operations are all that the API can do.
func (a *API) operations() []operation {
	return append(a.sessionOperations(), []operation{
		{
			Operation: huma.Operation{
				OperationID: "redeliverSession", Method: http.MethodPost, Path: sessionPath + "/redeliver", Tags: []string{"sessions"},
				Summary: "Deliver a given-up event again",
				Description: "The event goes out under its old `webhook-id`, and the schedule of attempts begins anew. It can be asked for as long " +
					"as the result is kept, sealed: `REDELIVERY_WINDOW` from the first giving up. Repeating the request is safe.",
				Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone},
			},
			handle: a.redeliver,
		},
		{
			Operation: huma.Operation{
				OperationID: "sendTestEvent", Method: http.MethodPost, Path: "/v1/events:test", Tags: []string{"events"},
				Summary: "Post a signed test event",
				Description: "Posts one event of type `identification.test` and waits for the receiver's answer. It is signed like every other, its " +
					"person is invented, and it is not repeated. A receiver acknowledges it, as it does every type that it does not know. A receiver " +
					"that does not answer is no error: see `delivered`.",
				MaxBodyBytes: maxBody,
			},
			optional: true,
			post:     true,
			handle:   a.sendTestEvent,
		},
	}...)
}

func (a *API) sessionOperations() []operation {
	return []operation{
		{
			Operation: huma.Operation{
				OperationID: "createSession", Method: http.MethodPost, Path: "/v1/sessions", Tags: []string{"sessions"},
				Summary: "Have a session followed",
				Description: "Once it answers 202, the session ends in exactly one outcome, and its event is posted until a receiver acknowledges it or " +
					"the delivery window is over.\n\nThe token is the idempotency key: repeat the request where its answer was lost. 409 means that the session is " +
					"in, also as the answer to a first request, for the connection to Redis may break and the command be repeated.",
				MaxBodyBytes: maxBody,
				Errors:       []int{http.StatusConflict},
			},
			handle: a.create,
		},
		{
			Operation: huma.Operation{
				OperationID: "createSessions", Method: http.MethodPost, Path: "/v1/sessions:batch", Tags: []string{"sessions"},
				Summary: "Have up to 1000 sessions followed",
				Description: "Each session is judged by itself: one that is invalid, or in already, stops no other. The answer has a result for each, in " +
					"order. Where it is 503, some may be in: repeating the request is safe, and reports those as duplicates. Where it is 429, none is in.",
				MaxBodyBytes: maxBatchBody,
			},
			handle: a.createMany,
		},
		{
			Operation: huma.Operation{
				OperationID: "getSession", Method: http.MethodGet, Path: sessionPath, Tags: []string{"sessions"},
				Summary:     "See where a session stands",
				Description: "Nothing in the answer is personal: the result itself is in the event alone.",
				Errors:      []int{http.StatusNotFound},
			},
			handle: a.read,
		},
		{
			Operation: huma.Operation{
				OperationID: "cancelSession", Method: http.MethodDelete, Path: sessionPath, Tags: []string{"sessions"},
				Summary: "Stop following a session, and remove it at MarkSign",
				Description: "Being cancelled is an outcome like any other, written once. It posts nothing. Repeating the request is safe. Where the session " +
					"had another outcome first, the answer is 409, with where the session stands.",
				Errors: []int{http.StatusNotFound, http.StatusConflict},
			},
			handle: a.cancel,
		},
	}
}

// shape is what the bodies of an operation look like.
type shape struct {
	request reflect.Type // nil: none
	status  int
	answer  reflect.Type
}

// shapes are the bodies of the operations, by id.
var shapes = map[string]shape{
	"createSession":    {reflect.TypeFor[NewSession](), http.StatusAccepted, reflect.TypeFor[SessionStatus]()},
	"createSessions":   {reflect.TypeFor[Batch](), http.StatusOK, reflect.TypeFor[BatchAnswer]()},
	"getSession":       {nil, http.StatusOK, reflect.TypeFor[SessionStatus]()},
	"cancelSession":    {nil, http.StatusOK, reflect.TypeFor[SessionStatus]()},
	"redeliverSession": {nil, http.StatusAccepted, reflect.TypeFor[SessionStatus]()},
	"sendTestEvent":    {reflect.TypeFor[TestEventRequest](), http.StatusOK, reflect.TypeFor[TestEventAnswer]()},
}
