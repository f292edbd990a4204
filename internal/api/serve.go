package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/retryafter"
	"github.com/identwatch/identwatch/tasks"
)

// operation is one method of one path: what the document says of it, and what
// answers it.
type operation struct {
	huma.Operation
	// optional is a body that may be left out.
	optional bool
	// post is an operation that posts to a receiver, and asks nothing of Redis.
	post   bool
	handle func(ctx context.Context, c call) (answer, error)
}

// call is a request that was let in.
type call struct {
	account *account
	token   string // of the path
	body    []byte // JSON, or empty
	release func() // gives its slot back
}

// answer is what a call came to where it succeeded.
type answer struct {
	status   int
	location string // empty: no such header
	body     any
}

// ServeHTTP answers every request below /v1/ and /docs/.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if isClean(r.URL.Path) && isClean(r.URL.EscapedPath()) {
		a.mux.ServeHTTP(w, r)
		return
	}
	errNoPath.write(w) // http.ServeMux would redirect
}

func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// serve answers the requests for one operation.
func (a *API) serve(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, problem := a.admit(op, w, r)
		if problem != nil {
			extend(w, answerMargin) // a body may have been slow
			problem.write(w)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), a.limit(op))
		defer cancel()
		extend(w, a.limit(op)+answerMargin)
		done, err := a.run(ctx, op, c)
		if err != nil {
			a.problem(op, err).write(w)
			return
		}
		if done.location != "" {
			w.Header().Set("Location", done.location)
		}
		writeJSON(w, "application/json", done.status, done.body)
	}
}

// limit is how long a call may take.
func (a *API) limit(op operation) time.Duration {
	if op.post {
		return a.deliveryTimeout + time.Second
	}
	return a.patience
}

// answerMargin is for the making and writing of an answer.
const answerMargin = 5 * time.Second

// extend moves the server's own time limits, which count from the beginning of
// the request, behind what is still to be done. A server that has none, or cannot
// move them, loses nothing.
func extend(w http.ResponseWriter, by time.Duration) {
	control := http.NewResponseController(w)
	end := time.Now().Add(by)
	_ = control.SetReadDeadline(end) // net/http takes a read that timed out for a client that left
	_ = control.SetWriteDeadline(end)
}

// admit judges everything that can be told without Redis. Who is let in has a
// slot, and had it before a byte of the body was read.
func (a *API) admit(op operation, w http.ResponseWriter, r *http.Request) (c call, problem *Problem) {
	held, problem := a.keys.authenticate(r)
	if problem != nil {
		return call{}, a.slowDown(r, problem)
	}
	if !acceptsJSON(r.Header.Values("Accept")) {
		return call{}, errNotAcceptable
	}
	problem = held.account.allowed.charge(1)
	if held.account.allowed.tell(w); problem != nil {
		return call{}, problem
	}
	c = call{account: held.account, token: r.PathValue("token"), release: held.slots.take(bodySize(op, r))}
	if c.release == nil {
		return call{}, errNoSlot
	}
	admitted := false
	defer func() {
		if !admitted {
			c.release()
		}
	}()
	if op.MaxBodyBytes > 0 {
		c.body, problem = readBody(op, w, r)
	}
	admitted = problem == nil
	return c, problem
}

// slowDown answers a client without a key that is known. A right key is always let
// in, so that a client behind the same proxy harms nobody: keys are random, and
// cannot be guessed however fast one tries.
func (a *API) slowDown(r *http.Request, problem *Problem) *Problem {
	if problem != errWrongKey {
		return problem
	}
	wait := a.tries.Begin(r)
	a.tries.Wrong(r)
	if wait > 0 {
		return errTries.with("Retry-After", retryafter.Format(wait))
	}
	return problem
}

// acceptsJSON reads Accept headers as far as it needs: any range that JSON is in
// and that is not refused with q=0.
func acceptsJSON(accept []string) bool {
	if strings.Trim(strings.Join(accept, ""), " \t,") == "" {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality, err := strconv.ParseFloat(parameters["q"], 64)
		if parameters["q"] != "" && (err != nil || quality <= 0) {
			continue
		}
		switch kind {
		case "application/json", "application/*", "*/*":
			return true
		}
	}
	return false
}

// readBody reads a body that is JSON.
func readBody(op operation, w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if r.ContentLength > op.MaxBodyBytes {
		return nil, tooLarge(op.MaxBodyBytes)
	}
	if (r.ContentLength != 0 || r.Header.Get("Content-Type") != "") && !isJSON(r.Header) {
		return nil, errMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, op.MaxBodyBytes))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, tooLarge(op.MaxBodyBytes)
	}
	switch {
	case err != nil:
		return nil, errCut
	case len(body) == 0 && op.optional:
		return nil, nil
	case len(body) == 0:
		return nil, errNoBody
	case !utf8.Valid(body) || !json.Valid(body):
		return nil, errMalformed
	case isDeep(body):
		return nil, errDeep
	}
	return body, nil
}

func isJSON(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	encoding := h.Get("Content-Encoding")
	return err == nil && kind == "application/json" && (encoding == "" || encoding == "identity")
}

// ended is a call that ran beside its request.
type ended struct {
	answer answer
	err    error
}

// run answers a call within its time, whatever go-redis does: not all of it ends
// with a context. What is left behind ends by go-redis's own limits, and keeps
// its slot until then.
func (a *API) run(ctx context.Context, op operation, c call) (answer, error) {
	result := make(chan ended, 1)
	go func() {
		defer c.release()
		result <- a.guard(ctx, op, c)
	}()
	select {
	case got := <-result:
		return got.answer, got.err
	case <-ctx.Done():
		return answer{}, fmt.Errorf("no answer within the time of a call: %w", ctx.Err())
	}
}

// guard turns a panic into an error without its text, which may be personal.
func (a *API) guard(ctx context.Context, op operation, c call) (got ended) {
	defer func() {
		if cause := recover(); cause != nil {
			a.log.Error("a defect in identwatch", "operation", op.OperationID, "panic", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
			got = ended{err: errInternal}
		}
	}()
	done, err := op.handle(ctx, c)
	return ended{done, err}
}

// problem is the answer to an error. What is no problem yet is trouble with
// Redis.
func (a *API) problem(op operation, err error) *Problem {
	if p, known := errors.AsType[*Problem](err); known {
		return p
	}
	if errors.Is(err, admin.ErrRecordVersion) || errors.Is(err, tasks.ErrNewerPayload) {
		return errNewer
	}
	if !errors.Is(err, context.Canceled) { // else the client has gone
		a.log.Warn("the API could not reach Redis", "operation", op.OperationID, "error", err)
	}
	return errUnavailable
}
