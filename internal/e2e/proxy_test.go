package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is a process's own way to Redis, as long as a real network's, that can be
// stopped and cut.
type proxy struct {
	addr   string
	target string
	open   sync.RWMutex // held for reading while bytes pass

	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

// latency is how long bytes take, each way.
const latency = 2 * time.Millisecond

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), target: target}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.connect(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); p.sever() })
	return p
}

func (p *proxy) url() string { return "redis://" + p.addr + "/0" }

func (p *proxy) connect(conn net.Conn) {
	onward, err := net.Dial("tcp", p.target)
	if err != nil {
		conn.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, conn, onward)
	cut := p.cut
	p.mu.Unlock()
	if cut {
		p.sever()
	}
	go p.pass(onward, conn)
	go p.pass(conn, onward)
}

func (p *proxy) pass(to io.WriteCloser, from io.ReadCloser) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		<-time.After(latency)
		p.open.RLock()
		_, err = to.Write(buffer[:n])
		p.open.RUnlock()
		if err != nil {
			return
		}
	}
}

// freeze lets nothing pass until thaw.
func (p *proxy) freeze() { p.open.Lock() }

func (p *proxy) thaw() { p.open.Unlock() }

// sever closes every connection, and those to come.
func (p *proxy) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for _, c := range p.conns {
		c.Close()
	}
}
