package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// heldUp is by how much an attempt's end may be late before this process must have been stopped or starved meanwhile,
// so that nothing is known of the receiver.
const heldUp = time.Second

// failure says why an attempt had no response, in fixed words: the error's own text may name hosts and addresses and
// quote the response, so nothing of it is used. The context's end comes first, because it shows as other errors too.
func (p *progress) failure(ctx context.Context, err error) Result {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Result{Cause: CauseHere, Detail: "canceled"}
	case ctx.Err() != nil && late(ctx):
		return Result{Cause: CauseHere, Detail: "timed out while this process was held up"}
	case ctx.Err() != nil:
		return Result{Detail: "timed out"}
	}
	if refused, ok := errors.AsType[refusal](err); ok {
		return Result{Cause: CauseRules, Detail: string(refused)}
	}
	if detail := shortage(err); detail != "" {
		return Result{Cause: CauseHere, Detail: detail}
	}
	return Result{Detail: p.describe(err)}
}

// late reports whether a context's deadline is longer ago than it takes to notice.
func late(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Since(deadline) > heldUp
}

// shortage says what this machine lacks to connect to anybody, or "".
func shortage(err error) string {
	if dns, isDNS := errors.AsType[*net.DNSError](err); isDNS {
		err = lookupShortage(dns)
	}
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "too many open files in this process: raise its limit (ulimit -n, or LimitNOFILE of systemd)"
	case errors.Is(err, syscall.ENFILE):
		return "too many open files on this machine: raise fs.file-max"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no free local port or address on this machine"
	case errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return "no memory for a connection on this machine"
	}
	return ""
}

// lookupShortage returns what a look-up lacked. It keeps only the text of the cause, and without descriptors not even
// that: it says that there is no such host. So ask for a descriptor.
func lookupShortage(dns *net.DNSError) error {
	for _, cause := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if strings.Contains(dns.Err, cause.Error()) {
			return cause
		}
	}
	file, err := os.Open(os.DevNull)
	if err == nil {
		_ = file.Close()
	}
	return err
}

// describe says what the receiver, or the way to it, did.
func (p *progress) describe(err error) string {
	_, isDNS := errors.AsType[*net.DNSError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case isDNS:
		return DetailName
	case isNet && netErr.Timeout():
		return "timed out"
	case p.tlsFailed:
		return "TLS failure"
	case p.responded, errors.Is(err, errWire):
		return "invalid response"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable"
	case wasClosed(err):
		return "connection closed"
	}
	return "connection failed"
}

// wasClosed reports whether the other side closed the connection.
func wasClosed(err error) bool {
	for _, cause := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return err.Error() == "http: server closed idle connection" // which net/http does not export
}

// idleClose is how long after a request was begun the news of a connection that was closed before can arrive. What
// closes later had the request, and failed over it.
const idleClose = time.Second

// closedIdle reports whether an attempt failed because the receiver closed a kept connection just when it was used
// again: nothing was answered on it, and the end came at once. A receiver that took the request and hung up at once
// looks the same.
func (p *progress) closedIdle(ctx context.Context, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ctx.Err() == nil && p.reused && !p.responded && wasClosed(err) && time.Since(p.connected) < idleClose
}
