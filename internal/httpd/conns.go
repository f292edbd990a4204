package httpd

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxConns is the most connections that a server has open, however many files
	// the process may open.
	maxConns = 4096
	// connShare is the share of the files that they may be: the others are for
	// Redis, MarkSign and the receivers.
	connShare = 4
	// minConns lets probes and an operator in under the smallest limit.
	minConns = 8
)

// MaxConns is how many connections a server may have if the process may have so
// many files open; 0 is not known.
func MaxConns(files int) int {
	if files == 0 {
		return maxConns
	}
	return max(min(files/connShare, maxConns), minConns)
}

// conns are the open connections of a server. When there are as many as there may
// be, a new one takes the place of the one that has been without a request for the
// longest time. If all work on requests, it takes that of a client who has more than
// half of them; if nobody else has, the new one is closed.
type conns struct {
	most   int
	log    *slog.Logger
	warned rate.Sometimes

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: it works on a request
	waiting list.List                  // of net.Conn, the longest first
}

func newConns(most int, log *slog.Logger) *conns {
	return &conns{
		most: most, log: log, open: make(map[net.Conn]*list.Element),
		warned: rate.Sometimes{Interval: time.Minute},
	}
}

func (c *conns) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// changed is the server's ConnState. A connection waits while it is new or idle,
// also if a part of a request's header came, and once its request was handled.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateIdle:
		if _, open := c.open[conn]; open {
			c.wait(conn)
		}
	case http.StateClosed, http.StateHijacked:
		c.remove(conn)
	case http.StateActive: // until its handler runs it may be a client that never ends its header
	}
}

func (c *conns) add(conn net.Conn) {
	if len(c.open) >= c.most {
		c.warned.Do(func() {
			c.log.Warn("the server has as many connections as it may: idle ones are closed, else one of an address that has more than half of them, else the new one", "connections", c.most)
		})
		other := c.dispensable(conn)
		if other == nil {
			_ = conn.Close()
			return
		}
		_ = other.Close()
		c.remove(other)
	}
	c.wait(conn)
}

// dispensable returns the connection whose place a new one takes, or nil if there is
// none. A client who reads answers slowly, or sends bodies so, makes a request last
// for seconds, and needs no key for it: such a client must not lock out all others.
func (c *conns) dispensable(newcomer net.Conn) net.Conn {
	if longest := c.waiting.Front(); longest != nil {
		return longest.Value.(net.Conn) //nolint:forcetypeassert // the list holds nothing else
	}
	held := make(map[netip.Prefix]int)
	for conn := range c.open {
		client := clientOf(conn)
		if held[client]++; held[client] <= c.most/2 {
			continue
		}
		if client == clientOf(newcomer) {
			return nil
		}
		return conn
	}
	return nil
}

// clientOf is the IPv4 address of a connection's other end, or its IPv6 network of
// 64 bits.
func clientOf(conn net.Conn) netip.Prefix {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // all such are one
	}
	addr := from.Addr().Unmap().WithZone("")
	network, _ := addr.Prefix(min(addr.BitLen(), 64)) // the bits are those of its kind
	return network
}

// wait puts a connection behind all others that wait.
func (c *conns) wait(conn net.Conn) {
	c.leave(conn)
	c.open[conn] = c.waiting.PushBack(conn)
}

func (c *conns) leave(conn net.Conn) {
	if place := c.open[conn]; place != nil {
		c.waiting.Remove(place)
	}
}

func (c *conns) remove(conn net.Conn) {
	c.leave(conn)
	delete(c.open, conn)
}

// connKey is of the request's connection, in its context.
type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// working marks the connection of each request, so that it keeps its place while
// the request is handled. Then it waits: before net/http ends an answer it reads
// the rest of the body, which a client can make last as long as it likes.
func (c *conns) working(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, known := r.Context().Value(connKey{}).(net.Conn); known {
			c.work(conn)
			defer c.handled(conn)
		}
		h.ServeHTTP(w, r)
	})
}

func (c *conns) handled(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.open[conn]; open {
		c.wait(conn)
	}
}

func (c *conns) work(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.open[conn]; open {
		c.leave(conn)
		c.open[conn] = nil
	}
}
