package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"time"
)

// newDialer returns a dialer that asks the guard before each dial.
func newDialer(g *guard, timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.control}
}

// newTransport returns the transport for callbacks. Its own timeouts matter only for what goes on in the background,
// such as a handshake whose request is gone; the request's context bounds the rest.
func newTransport(dialer *net.Dialer, timeout time.Duration, maxIdle int) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // never from the environment: a proxy would dial what the guard cannot see
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle, // most installations have one receiver
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxResponse,
		ForceAttemptHTTP2:      true, // a DialContext of one's own would turn it off
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: maxResponse,
			SendPingTimeout:           5 * time.Second, // all posts to a host share one connection: notice its death
			PingTimeout:               5 * time.Second,
		},
	}
}

// progress notes how far an attempt came, which errors of net/http do not always tell. The transport's goroutines write
// it, some of them after the attempt.
type progress struct {
	tlsFailed, responded atomic.Bool
}

// trace returns a context under which the transport notes its progress.
func (p *progress) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.tlsFailed.Store(true)
			}
		},
		GotFirstResponseByte: func() { p.responded.Store(true) },
	})
}

// describe says in fixed words why an attempt had no response. The error's own text may name hosts and addresses and
// quote the response, so nothing of it is used. The context's end comes first, for it shows as other errors too.
func (p *progress) describe(ctx context.Context, err error) string {
	_, isDNS := errors.AsType[*net.DNSError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "canceled"
	case ctx.Err() != nil:
		return "timed out"
	case errors.Is(err, errAddress):
		return "address not allowed"
	case isDNS:
		return "name not resolved"
	case isNet && netErr.Timeout():
		return "timed out"
	case p.tlsFailed.Load():
		return "TLS failure"
	case p.responded.Load():
		return "invalid response"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "host unreachable"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection closed"
	}
	return "connection failed"
}
