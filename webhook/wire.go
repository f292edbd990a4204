package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
)

// maxWire is what is read from a connection for one post, in bytes on the wire: a response's headers and body, each byte
// of which may be a chunk of six, and what surrounds them. A connection may read as much for its handshake, and while
// it is idle. net/http has bounds of its own, but none over HTTP/2 for frames that belong to no response.
const maxWire = 8 * maxResponse

// errWire: the receiver sent more than any answer needs.
var errWire = errors.New("webhook: more was sent than a response may have")

// dialFunc is a net.Dialer's DialContext.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// metered has what dial returns read no more than posts need.
func metered(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &meteredConn{Conn: conn, left: maxWire}, nil
	}
}

// meteredConn fails to read once its posts have used up what they may. One goroutine reads it at a time.
type meteredConn struct {
	net.Conn

	mu    sync.Mutex
	left  int // bytes
	posts int // under way; over HTTP/2 there may be several
}

func (c *meteredConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	allowed := min(len(p), c.left)
	c.mu.Unlock()
	if allowed == 0 && len(p) > 0 {
		return 0, errWire
	}
	n, err := c.Conn.Read(p[:allowed])
	c.mu.Lock()
	c.left -= n
	c.mu.Unlock()
	return n, err
}

// begin allows what one more post needs.
func (c *meteredConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts++
	c.left += maxWire
}

// end takes back what the post did not need.
func (c *meteredConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts--
	c.left = min(c.left, (1+c.posts)*maxWire)
}

// meterOf returns the meter of a connection that a transport uses, or nil if it has none.
func meterOf(conn net.Conn) *meteredConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	meter, _ := conn.(*meteredConn)
	return meter
}
