// Package freeport gives each test TCP ports that nobody else has while it runs,
// for processes that are told where to listen, and for listeners that close and
// open again. It is imported by tests alone.
//
// A port that was found by listening on port 0 and closing again is anybody's:
// the system gives it to the next test that asks for any port, or to the local
// end of a connection.
package freeport

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// The ports are below those that systems give to whoever asks for any port: Linux
// begins at 32768, others at 49152.
const first, count = 15000, 32768 - 15000

// Addr returns 127.0.0.1 and a port that nobody listens on. Until the test ends no
// other caller gets it, in this process or another.
func Addr(tb testing.TB) string {
	tb.Helper()
	start := rand.IntN(count) //nolint:gosec // where the search begins is no secret
	for i := range count {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+(start+i)%count))
		if claim, ok := claimed(addr); ok {
			tb.Cleanup(func() { _ = claim.Close() })
			return addr
		}
	}
	tb.Fatal("every port that tests may have is taken")
	return ""
}

// Port returns the port of an [Addr].
func Port(tb testing.TB) string {
	tb.Helper()
	_, port, _ := net.SplitHostPort(Addr(tb))
	return port
}

// forkWithoutLock has package os do now what it does once in a process, without
// ForkLock, and at any time: it forks to find out whether the kernel has pidfds.
var forkWithoutLock = sync.OnceFunc(func() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Release()
	}
})

// claimed takes the UDP port with the same number, which says to the other callers
// that the TCP port is taken and does not keep anybody from listening there.
//
// Nothing forks meanwhile: until it has become another program, the child would
// have the listener too, and the port would stay in use for as long.
func claimed(addr string) (net.PacketConn, bool) {
	forkWithoutLock()
	claim, err := net.ListenPacket("udp4", addr) //nolint:noctx // a test's own socket
	if err != nil {
		return nil, false
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	listener, err := net.Listen("tcp4", addr) //nolint:noctx // as above
	if err != nil {
		_ = claim.Close() // a program that is no test of ours listens there
		return nil, false
	}
	_ = listener.Close()
	return claim, true
}
