package webhook

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// dnsServer answers every question for an IPv4 address with the next of its addresses, and in the end the last again;
// and every other question with no records. Addresses joined by commas make one answer.
type dnsServer struct {
	conn    net.PacketConn
	answers []string
	asked   atomic.Int32
}

func newDNS(t *testing.T, answers ...string) *dnsServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dnsServer{conn: conn, answers: answers}
	t.Cleanup(func() { conn.Close() })
	go d.serve()
	return d
}

func (d *dnsServer) serve() {
	query := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(query)
		if err != nil {
			return
		}
		_, _ = d.conn.WriteTo(d.answer(query[:n]), from)
	}
}

// answer writes a DNS message (RFC 1035, section 4): header, the question again, and a record for each address.
func (d *dnsServer) answer(query []byte) []byte {
	const header, typeA = 12, 1
	end := header
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	var addrs []string
	if len(d.answers) > 0 && binary.BigEndian.Uint16(query[end-4:]) == typeA {
		next := min(int(d.asked.Add(1)), len(d.answers)) - 1
		addrs = strings.Split(d.answers[next], ",")
	}
	reply := append([]byte{}, query[:2]...)
	reply = append(reply, 0x81, 0x80, 0, 1, 0, byte(len(addrs)), 0, 0, 0, 0)
	reply = append(reply, query[header:end]...)
	for _, addr := range addrs {
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, netip.MustParseAddr(addr).AsSlice()...)
	}
	return reply
}

// sender returns a sender as NewSender makes it, but for whom it asks for names, and with networks allowed in addition
// to none.
func (d *dnsServer) sender(t *testing.T, networks ...string) *Sender {
	t.Helper()
	if len(networks) == 0 {
		networks = []string{"127.0.0.0/8"}
	}
	s := newTestSender(t, func(cfg *SenderConfig) {
		cfg.AllowNetworks = nil
		for _, network := range networks {
			cfg.AllowNetworks = append(cfg.AllowNetworks, netip.MustParsePrefix(network))
		}
	})
	dialer := newDialer(s.guard, s.timeout)
	dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", d.conn.LocalAddr().String())
	}}
	transport := newTransport(dialer.DialContext, s.timeout, 1)
	t.Cleanup(transport.CloseIdleConnections)
	s.transport = transport
	return s
}

func TestSend_ChecksTheAddressThatIsDialledNotTheName(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		posts.Add(1)
		w.Header().Set("Connection", "close") // so that the next post looks the name up again
	})
	url = strings.Replace(url, "127.0.0.1", "receiver.test.", 1)

	// 127.0.0.1 stands for the allowed address, where the receiver is; the others stand for the inside.
	dns := newDNS(t, "127.0.0.1", "127.0.0.2", "10.0.0.1", "169.254.169.254", "127.0.0.2,127.0.0.1")
	s := dns.sender(t, "127.0.0.1/32")
	refused := Result{Cause: CauseRules, Detail: DetailAddress}
	closed := Result{Cause: CauseRules, Detail: DetailClosed}
	delivered := Result{Verdict: Delivered, Status: 200, Detail: "HTTP 200"}
	for i, want := range []Result{delivered, refused, refused, closed, delivered} {
		if got := s.Send(t.Context(), url, "msg_1", []byte("{}")); got != want {
			t.Errorf("look-up %d (%s): %+v, want %+v", i, dns.answers[i], got, want)
		}
	}
	if got := posts.Load(); got != 2 {
		t.Errorf("%d posts arrived, want 2", got)
	}
}

func TestSend_AllowingEverythingStillClosesMetadata(t *testing.T) {
	t.Parallel()
	s := newDNS(t, "169.254.169.254").sender(t, "0.0.0.0/0", "::/0")
	s.timeout = time.Minute
	if got := s.Send(t.Context(), "http://metadata.test./", "msg_1", nil); got != (Result{Cause: CauseRules, Detail: DetailClosed}) {
		t.Errorf("%+v, want the address refused", got)
	}
}
