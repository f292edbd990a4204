package marksim

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// ServeHTTP answers one call. A path that MarkSign does not have gets a page,
// not JSON, with 404.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, ok := route(r)
	if !ok {
		page(http.StatusNotFound).write(w)
		return
	}
	c.params = readParams(r)
	sess, nth := s.arrive(c)
	hit := s.strike(c, nth)
	if !pause(r.Context(), hit.latency) {
		drop()
	}
	rep := s.answer(c, sess, hit)
	s.tell(rep, c)
	switch hit.fault {
	case outage:
		drop()
	case hang:
		<-r.Context().Done()
		drop()
	case cut:
		rep.writeCut(w)
	default:
		rep.write(w)
	}
}

// arrive finds the session of a call and counts the call. A session is not found
// by the other method's path.
func (s *Simulator) arrive(c call) (sess *session, nth uint64) {
	if c.kind == StartCalls {
		return nil, s.starts.Add(1)
	}
	sess = s.find(c.token)
	if sess == nil || sess.method != c.method {
		return nil, s.strays.Add(1)
	}
	return sess, sess.arrived(c.kind, time.Now())
}

// pause waits, and reports whether the client did too.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drop closes the connection without another byte.
func drop() { panic(http.ErrAbortHandler) }

// answer is what goes out, or would go out, to a call.
func (s *Simulator) answer(c call, sess *session, h hit) reply {
	if rep, ok := h.reply(c, s.opts.Dialect); ok {
		return rep
	}
	if h.fault == forget && sess != nil {
		sess.forget(time.Now(), s.opts.Dialect)
	}
	rep := s.process(c, sess, h)
	if h.fault == cut {
		rep.kind, rep.short = Faulted, "cut: "+rep.short
	}
	return rep
}

// process does what the call asks for.
func (s *Simulator) process(c call, sess *session, h hit) reply {
	d := s.opts.Dialect
	if want := s.access.Load(); want != "" && c.params.AccessToken != want {
		return failure(refusals[c.kind], 40003, d)
	}
	switch c.kind {
	case StartCalls:
		return s.start(c, h.nth)
	case StatusCalls:
		return s.status(sess, h.fault == cut)
	default:
		if sess == nil || !sess.remove(time.Now(), d) {
			return noRemoval(RemoveRefused, d)
		}
		return reply{body: []byte(`{"status":"ok"}`), kind: Removed, short: "ok"}
	}
}

// refusals are what a call that got an error comes to.
var refusals = map[Calls]Kind{StartCalls: StartRefused, StatusCalls: Polled, RemoveCalls: RemoveRefused}

// status answers a poll. lost says that the answer will not arrive whole.
func (s *Simulator) status(sess *session, lost bool) reply {
	d := s.opts.Dialect
	if sess == nil {
		return failure(Polled, 40402, d)
	}
	state, outcome := sess.poll(time.Now(), d, lost)
	switch {
	case state == gone:
		return failure(Polled, 40402, d)
	case state == pending:
		return waiting
	case outcome == Confirms:
		return reply{body: sess.identity(d), kind: Final, short: "ok"}
	case outcome == Canceled:
		return reply{body: []byte(`{"status":"canceled"}`), kind: Final, short: "canceled"}
	default:
		return failure(Final, outcomes[outcome], d)
	}
}

// tell reports what a call came to.
func (s *Simulator) tell(rep reply, c call) {
	if s.opts.OnEvent == nil {
		return
	}
	token := c.token
	if rep.started != "" {
		token = rep.started
	}
	s.opts.OnEvent(Event{Kind: rep.kind, Call: c.kind, Token: token, At: time.Now(), Answer: rep.short})
}

// reply is an answer on its way, and what is told of it.
type reply struct {
	status     int // 0 is 200
	html       bool
	retryAfter time.Duration
	body       []byte

	kind    Kind
	short   string // Event.Answer
	started string // the token of the session that a start made
}

// waiting is the answer to nearly every poll.
var waiting = reply{body: []byte(`{"status":"waiting"}`), kind: Polled, short: "waiting"}

// failure is an error body with its code.
func failure(kind Kind, code int, d Dialect) reply {
	body := errorAnswer{Status: "error", Message: messages[code], Code: code}
	if d.CodeAsText {
		body.Code = strconv.Itoa(code)
	}
	return reply{status: d.ErrorStatus, body: phpJSON(body), kind: kind, short: "error " + strconv.Itoa(code)}
}

// errorAnswer is an error body, in the order of the documentation.
type errorAnswer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Code    any    `json:"error_code,omitempty"` // int, or string by the dialect
}

// noRemoval is an error body without a code.
func noRemoval(kind Kind, d Dialect) reply {
	body := phpJSON(errorAnswer{Status: "error", Message: removeRefusal})
	return reply{status: d.ErrorStatus, body: body, kind: kind, short: "error"}
}

// page is what a web server in front of the API says.
func page(status int) reply {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	return reply{
		status: status,
		html:   true,
		body:   []byte("<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>\n"),
		kind:   Faulted,
		short:  "HTTP " + strconv.Itoa(status) + " page",
	}
}
