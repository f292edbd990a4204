package tasks

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// bounded does something with Redis and waits until ctx ends, and no longer: not
// every client ends its calls with their contexts, and asynq's inspector takes
// none. What is under way then goes on until the client's own limits.
func bounded(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return ended(ctx, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ended is ctx's error for what failed because ctx ended: asynq keeps no more of it
// than the text.
func ended(ctx context.Context, err error) error {
	if _, isAnswer := answerIn(err); err == nil || isAnswer || errors.Is(err, ErrDuplicate) || ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

// call is what a method of the Client does, in the words of its errors.
type call struct{ doing, doubt string }

var (
	enqueueing = call{"enqueueing the session", "the session may be in or not, and repeating the call is safe"}
	asking     = call{"asking how the session stands", "call again"}
	cancelling = call{"cancelling the session", "it may be cancelled or not, and repeating the call is safe"}
)

// troubleError is an error of Redis, or on the way to it, in words that say what to
// do. It shows neither the URL nor a password.
type troubleError struct {
	doing string
	text  string
	cause error
}

func (e *troubleError) Error() string { return e.doing + ": " + e.text }

// Unwrap returns what go-redis or the context said.
func (e *troubleError) Unwrap() error { return e.cause }

// explain says what to do about an error of asynq, which hides those of go-redis
// under the names of its scripts. It shows dial, the last failure to connect, if the
// time of the call is over; nil is none.
func explain(c call, err error, dial *dialError) error {
	if answer, isAnswer := answerIn(err); isAnswer {
		return &troubleError{c.doing, explainAnswer(answer), err}
	}
	const see = "; see that it runs, and that the URL says where"
	var text string
	switch failed, isDial := errors.AsType[*dialError](err); {
	case errors.Is(err, context.Canceled):
		text = "the call was cancelled"
	case errors.Is(err, context.DeadlineExceeded) && dial != nil:
		text = "Redis did not answer within the time of the call (" + innerDial(dial.cause) + ")" + see
	case errors.Is(err, context.DeadlineExceeded):
		text = "Redis did not answer within the time of the call"
	case isDial:
		text = failed.Error() + see
	default:
		said := strings.TrimPrefix(innerDial(err), evalError)
		if !strings.HasPrefix(said, unreachable) { // else it is a dialError, of which a script keeps the text
			said = "Redis did not answer (" + said + ")"
		}
		text = said + see
	}
	return &troubleError{c.doing, text + "; " + c.doubt, err}
}

// evalError is what asynq writes before the text of a script's error, of which it
// keeps nothing else.
const evalError = "redis eval error: "

// refusals are what answers of Redis that refuse a command begin with.
var refusals = regexp.MustCompile(`^[A-Z]{3,} `)

// answerIn returns what Redis answered, if that is the error.
func answerIn(err error) (text string, isAnswer bool) {
	if answer, isAnswer := errors.AsType[redis.Error](err); isAnswer {
		return answer.Error(), true
	}
	if err == nil {
		return "", false
	}
	text, isEval := strings.CutPrefix(innermost(err), evalError)
	text, _, _ = strings.Cut(text, " script: ") // there its hash follows
	return text, isEval && refusals.MatchString(text)
}

// answers are what Redis says that it will not do, and what to do about it.
var answers = []struct{ prefix, advice string }{
	{"NOAUTH", "write its password into the URL"},
	{"WRONGPASS", "check the user and the password in the URL"},
	{"NOPERM", "let this user run asynq's commands and scripts"},
	{"OOM", "it is full: give it more memory"},
	{"READONLY", "it is a replica: name the primary or the sentinels in the URL"},
	{"MISCONF", "it cannot write to its disk: see its log"},
	{"LOADING", "it is starting: call again"},
	{"BUSY", "it runs a script: call again"},
	{"MASTERDOWN", "it is failing over: call again"},
	{"ERR max number of clients", "raise its maxclients, or close connections"},
}

func explainAnswer(text string) string {
	text, _, _ = strings.Cut(text, ", with args") // there an unknown AUTH is quoted
	for _, a := range answers {
		if strings.HasPrefix(text, a.prefix) {
			return "Redis refuses: " + text + "; " + a.advice
		}
	}
	return "Redis refuses: " + text
}

// innermost is the text of the first cause.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// quiet keeps go-redis from writing to standard error that it cannot connect, in
// the name of an application that gets the same as an error: what it dials in vain
// is a connection on which everything fails with the cause.
type quiet struct {
	failed *atomic.Pointer[dialError] // the last dial, if it was in vain
}

var _ redis.Hook = quiet{}

// DialHook is called by go-redis.
func (q quiet) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			failed := &dialError{err}
			if ctx.Err() == nil { // else it says no more than that the call is over
				q.failed.Store(failed)
			}
			return failedConn{failed}, nil
		}
		q.failed.Store(nil)
		return conn, nil
	}
}

// ProcessHook is called by go-redis.
func (quiet) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook is called by go-redis.
func (quiet) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// dialError says why there is no connection.
type dialError struct{ cause error }

const unreachable = "Redis cannot be reached: "

func (e *dialError) Error() string { return unreachable + innerDial(e.cause) }

// Unwrap returns the cause, as a list because go-redis unwraps what a new
// connection fails with, and drops the rest.
func (e *dialError) Unwrap() []error { return []error{e.cause} }

// innerDial is the part of an error that says what was dialled, and why in vain.
func innerDial(err error) string {
	if op, isOp := errors.AsType[*net.OpError](err); isOp {
		return op.Error()
	}
	return innermost(err)
}

// failedConn is a connection that was never made.
type failedConn struct{ err error }

var _ net.Conn = failedConn{}

func (c failedConn) Read([]byte) (int, error)       { return 0, c.err }
func (c failedConn) Write([]byte) (int, error)      { return 0, c.err }
func (failedConn) Close() error                     { return nil }
func (failedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (failedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (failedConn) SetDeadline(time.Time) error      { return nil }
func (failedConn) SetReadDeadline(time.Time) error  { return nil }
func (failedConn) SetWriteDeadline(time.Time) error { return nil }
