package marksim

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Faults are what goes wrong on the way. The zero value is nothing.
//
// Rates are of calls, 0 to 1. They add up: with HTML 0.1 and Cut 0.2, seven
// calls in ten are well. Where they come to more than 1, those listed last have
// less of it. Only a call that is cut or forgotten is processed; every other is
// lost before MarkSign did anything.
type Faults struct {
	Calls Calls // the calls that meet them; 0 is all

	Latency time.Duration // before every answer
	Jitter  time.Duration // up to which there is more of it

	Outage      bool // connections are closed at once
	RejectToken bool // the access token is refused (40003)

	Hang        float64       // no answer until the client goes
	ServerError float64       // 500, 503 or 504 without a body
	TooMany     float64       // 429 without a body
	RetryAfter  time.Duration // in whole seconds, with TooMany and ServerError; 0 is no such header
	HTML        float64       // a page with 200
	BadGateway  float64       // a page with 502
	Cut         float64       // half an answer
	WrongShape  float64       // JSON that is no proper answer
	Error       float64       // an error body with ErrorCode
	ErrorCode   int           // 0 is 50000
	Forget      float64       // the session vanishes (40402); with status and remove
	RemoveError float64       // the documented error, though the session is there; with remove
}

// fault is what strikes one call.
type fault int

const (
	none fault = iota
	outage
	rejectToken
	hang
	serverError
	tooMany
	htmlPage
	badGateway
	cut
	wrongShape
	errorBody
	forget
	removeError
)

// hit is a fault with its particulars.
type hit struct {
	fault      fault
	nth        uint64 // of the call, among its kind
	latency    time.Duration
	retryAfter time.Duration
	errorCode  int
	variant    int // a roll of the dice, for faults that have several forms
}

// strike finds out what the nth call of its kind meets.
func (s *Simulator) strike(c call, nth uint64) hit {
	sets := s.faults.Load()
	if sets == nil {
		return hit{nth: nth}
	}
	h := hit{nth: nth}
	dice := s.dice(nth, "fault", strconv.Itoa(int(c.kind)), c.token)
	for _, f := range *sets {
		if f.Calls != 0 && f.Calls&c.kind == 0 {
			continue
		}
		h.latency += f.Latency
		if f.Jitter > 0 {
			h.latency += time.Duration(dice.Int64N(int64(f.Jitter)))
		}
		if h.fault != none {
			continue
		}
		h.fault = f.pick(dice, c.kind)
		h.retryAfter, h.errorCode, h.variant = f.RetryAfter, f.ErrorCode, dice.IntN(1<<16)
	}
	return h
}

// pick rolls one of the faults.
func (f Faults) pick(dice *rand.Rand, kind Calls) fault {
	roll := dice.Float64()
	switch {
	case f.Outage:
		return outage
	case f.RejectToken:
		return rejectToken
	}
	rates := [...]struct {
		fault fault
		rate  float64
		calls Calls
	}{
		{hang, f.Hang, kind},
		{serverError, f.ServerError, kind},
		{tooMany, f.TooMany, kind},
		{htmlPage, f.HTML, kind},
		{badGateway, f.BadGateway, kind},
		{cut, f.Cut, kind},
		{wrongShape, f.WrongShape, kind},
		{errorBody, f.Error, kind},
		{forget, f.Forget, StatusCalls | RemoveCalls},
		{removeError, f.RemoveError, RemoveCalls},
	}
	for _, r := range rates {
		if r.calls&kind == 0 {
			continue
		}
		if roll < r.rate {
			return r.fault
		}
		roll -= r.rate
	}
	return none
}

// reply is the answer of a fault that lets nothing through to MarkSign.
func (h hit) reply(c call, d Dialect) (reply, bool) {
	switch h.fault {
	case none, cut, forget:
		return reply{}, false
	case outage:
		return reply{kind: Faulted, short: "outage"}, true
	case hang:
		return reply{kind: Faulted, short: "hang"}, true
	case rejectToken:
		return failure(Faulted, 40003, d), true
	case serverError:
		statuses := [...]int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
		return h.empty(statuses[h.variant%len(statuses)]), true
	case tooMany:
		return h.empty(http.StatusTooManyRequests), true
	case htmlPage:
		return page(http.StatusOK), true
	case badGateway:
		return page(http.StatusBadGateway), true
	case wrongShape:
		return h.misshapen(c), true
	case errorBody:
		if h.errorCode == 0 {
			h.errorCode = 50000
		}
		return failure(Faulted, h.errorCode, d), true
	case removeError:
		return noRemoval(Faulted, d), true
	}
	return reply{}, false
}

// empty is an answer without a body.
func (h hit) empty(status int) reply {
	return reply{status: status, retryAfter: h.retryAfter, kind: Faulted, short: "HTTP " + strconv.Itoa(status)}
}

// shapes are JSON, or nearly, and no proper answers. The last ones claim a
// success, which for a removal would be taken at its word.
var shapes = [...]struct {
	status int // 0 is 200
	body   string
}{
	{0, `[]`},
	{0, `null`},
	{0, `"ok"`},
	{0, `{}`},
	{0, `{"status":1}`},
	{0, `{"status":["ok"]}`},
	{0, `{"status":"on_hold"}`},
	{0, `{"status":"waiting"`},
	{0, `{"status":"error"}`},
	{0, `{"status":"error","message":7,"error_code":"50000"}`},
	{http.StatusInternalServerError, `{"error":{"code":500,"message":"Internal Server Error"}}`}, // as Symfony has it
	{0, `{"status":"ok"}`},
	{0, `{"status":"ok","token":"00000000-0000-0000-0000-000000000000","code":"10101010000","name":"A","surname":"B"}`},
	{0, `[{"status":"ok"}]`},
}

// claims is how many of the shapes claim a success.
const claims = 3

func (h hit) misshapen(c call) reply {
	n := len(shapes)
	if c.kind == RemoveCalls {
		n -= claims
	}
	shape := shapes[h.variant%n]
	return reply{status: shape.status, body: []byte(shape.body), kind: Faulted, short: "wrong shape"}
}
