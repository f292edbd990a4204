package webhook

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// newDialer returns a dialer that asks the guard before each dial.
func newDialer(g *guard, timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.control}
}

// newTransport returns the transport for callbacks. Its own timeouts matter only for what goes on in the background,
// such as a handshake whose request is gone; the request's context bounds the rest. With a maxIdle of 0 it keeps no
// connection.
func newTransport(dial dialFunc, timeout time.Duration, maxIdle int) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // never from the environment: a proxy would dial what the guard cannot see
		DialContext:            metered(dial),
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		DisableCompression:     true,
		DisableKeepAlives:      maxIdle == 0,
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

// progress notes how far an attempt came, which errors of net/http do not always say. The transport's goroutines write
// it, some of them after the attempt.
type progress struct {
	mu                           sync.Mutex
	tlsFailed, reused, responded bool
	connected                    time.Time // when there was a connection for the request
	meters                       []*meteredConn
}

// trace returns a context under which the transport notes its progress.
func (p *progress) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: p.gotConn,
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.tlsFailed = p.tlsFailed || err != nil
		},
		GotFirstResponseByte: func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.responded = true
		},
	})
}

// gotConn is called again when net/http takes another connection because nothing was written on the first.
func (p *progress) gotConn(info httptrace.GotConnInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reused, p.connected = info.Reused, time.Now()
	if meter := meterOf(info.Conn); meter != nil {
		meter.begin()
		p.meters = append(p.meters, meter)
	}
}

// end says to the connections that were used that the attempt is over.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, meter := range p.meters {
		meter.end()
	}
	p.meters = nil
}
