package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Problem is the answer to every request that failed, after RFC 9457. It is an
// error of the package's own functions.
type Problem struct { //nolint:errname // RFC 9457 calls it a problem, and so does the document
	Title   string         `json:"title" doc:"The HTTP status in words." example:"Unprocessable Content"`
	Status  int            `json:"status" doc:"The HTTP status." minimum:"400" maximum:"599" example:"422"`
	Code    string         `json:"code" doc:"A stable word to branch on." enum:"malformed,unauthorized,not_found,method_not_allowed,not_acceptable,duplicate,outcome_first,not_given_up,cancelled,erased,too_large,unsupported_media_type,invalid,busy,too_fast,too_many_sessions,too_many_tries,internal,no_api_keys,unavailable" example:"invalid"`
	Detail  string         `json:"detail" doc:"What is wrong and what to do, for people." example:"1 field is invalid."`
	Errors  []FieldError   `json:"errors,omitempty" nullable:"false" doc:"The invalid fields, each once: the first 20 of them."`
	More    int            `json:"more_errors,omitempty" minimum:"1" doc:"How many more fields are invalid than errors lists." example:"3"`
	Session *SessionStatus `json:"session,omitempty" doc:"Where the session stands, where another outcome was first."`

	header map[string]string
}

// FieldError says what is wrong with one field of a body.
type FieldError struct {
	Field   string `json:"field" doc:"The field's name, or body." example:"callback_url"`
	Problem string `json:"problem" doc:"What is wrong with it. Never the refused value." example:"must begin with https:// (or http://, where the worker allows it)"`
}

func (p *Problem) Error() string { return p.Detail }

// The problems that are always the same.
var (
	errNoPath = newProblem(http.StatusNotFound, "not_found", "There is nothing at this path. The API is described at /docs/.")
	errNoKey  = newProblem(http.StatusUnauthorized, "unauthorized", "Send an API key: Authorization: Bearer iwk_...").
			with("WWW-Authenticate", `Bearer realm="identwatch"`)
	errWrongKey = newProblem(http.StatusUnauthorized, "unauthorized", "The API key is not known here.").
			with("WWW-Authenticate", `Bearer realm="identwatch", error="invalid_token"`)
	errNoSession = newProblem(http.StatusNotFound, "not_found",
		"There is no such session of this account: it was never enqueued, or its time is over.")
	errNotAcceptable = newProblem(http.StatusNotAcceptable, "not_acceptable", "Answers are application/json: the Accept header must allow it.")
	errMediaType     = newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"Send the body as JSON with Content-Type: application/json, and without a Content-Encoding.")
	errNoBody      = newProblem(http.StatusBadRequest, "malformed", "The body is missing: send a JSON object.")
	errCut         = newProblem(http.StatusBadRequest, "malformed", "The body could not be read to its end.")
	errMalformed   = newProblem(http.StatusBadRequest, "malformed", "The body is not JSON in UTF-8.")
	errDeep        = newProblem(http.StatusBadRequest, "malformed", "The body is nested more than 16 levels deep.")
	errUnavailable = newProblem(http.StatusServiceUnavailable, "unavailable",
		"Redis does not answer. Repeat the request later: repeating is safe, also where this one did take effect.").
		with("Retry-After", "2")
	errNewer = newProblem(http.StatusServiceUnavailable, "unavailable",
		"A later release of identwatch wrote this session, and this process cannot read it: the service is being upgraded.").
		with("Retry-After", "30")
	errDuplicate = newProblem(http.StatusConflict, "duplicate",
		"The session is in already: it is followed, or was finished recently. Nothing was changed.")
	errBusy = newProblem(http.StatusTooManyRequests, "busy",
		"Other test events of this account are under way. Repeat the request when they have ended.").
		with("Retry-After", "2")
	errNoSlot = newProblem(http.StatusTooManyRequests, "busy",
		"Too many requests with this API key are under way, or too many large bodies: "+
			"64 requests, or four batches of the largest size, go at once. Repeat the request when others have ended.").
		with("Retry-After", "1")
	errRate = newProblem(http.StatusTooManyRequests, "too_fast",
		"The account makes more requests than API_RATE allows; a batch counts each of its sessions. Repeat the request later, or send smaller batches.")
	errOutstanding = newProblem(http.StatusTooManyRequests, "too_many_sessions",
		"As many sessions of the account are not finished as MAX_SESSIONS allows, or would be with this request. "+
			"Nothing was enqueued. Repeat the request when others have ended, or send a smaller batch.")
	errTries = newProblem(http.StatusTooManyRequests, "too_many_tries",
		"The API key is not known here, and too many such keys came from this address. Use the right key: it is always taken.")
	errOff = newProblem(http.StatusNotImplemented, "no_api_keys",
		"No account of this service has an API key, so that its HTTP API is off. Make a key with `identwatch secret api`, "+
			"set API_KEYS for the service (with ACCOUNTS, SHOP_API_KEYS for the account shop), and restart it.")
	errInternal = newProblem(http.StatusInternalServerError, "internal", "A defect in identwatch. Repeating the request is safe.")
)

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// with returns the problem with a header more.
func (p Problem) with(name, value string) *Problem {
	header := map[string]string{name: value}
	for name, value := range p.header {
		header[name] = value
	}
	p.header = header
	return &p
}

func tooLarge(limit int64) *Problem {
	return newProblem(http.StatusRequestEntityTooLarge, "too_large", "The body is larger than "+strconv.FormatInt(limit>>10, 10)+" KiB.")
}

func invalid(found faults) *Problem {
	detail := "1 field is invalid."
	if all := len(found.list) + found.more; all > 1 {
		detail = strconv.Itoa(all) + " fields are invalid."
	}
	if found.more > 0 {
		detail += " The first " + strconv.Itoa(len(found.list)) + " are listed."
	}
	p := newProblem(http.StatusUnprocessableEntity, "invalid", detail)
	p.Errors, p.More = found.list, found.more
	return p
}

// outcomeFirst is the answer to a cancelling that came too late.
func outcomeFirst(stands SessionStatus) *Problem {
	p := newProblem(http.StatusConflict, "outcome_first", "The session had another outcome before it could be cancelled.")
	p.Session = &stands
	return p
}

// notAllowed answers the methods that a path has not.
func notAllowed(methods []string) http.HandlerFunc {
	allow := strings.Join(methods, ", ")
	p := newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "This path takes "+allow+".").with("Allow", allow)
	return func(w http.ResponseWriter, _ *http.Request) { p.write(w) }
}

func (p *Problem) write(w http.ResponseWriter) {
	for name, value := range p.header {
		w.Header().Add(name, value) // beside the RateLimit of all requests
	}
	writeJSON(w, "application/problem+json", p.Status, p)
}

// writeJSON writes an answer. A client that has gone is nobody's error.
func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) //nolint:errchkjson // plain structs of ours
}
