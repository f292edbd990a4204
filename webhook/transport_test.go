package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/freeport"
)

func TestTransport_NeverUsesAProxyFromTheEnvironment(t *testing.T) {
	proxy := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was used") })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, proxy)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	dns := newDNS(t, "127.0.0.1") // net/http uses no proxy for 127.0.0.1, so it takes a name
	url := strings.Replace(receiver(t, func(http.ResponseWriter, *http.Request) {}), "127.0.0.1", "receiver.test.", 1)
	req, err := http.NewRequest(http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if chosen, err := http.ProxyFromEnvironment(req); err != nil || chosen == nil {
		t.Fatalf("the environment names no proxy for this request: %v, %v", chosen, err)
	}
	if got := dns.sender(t).Send(t.Context(), url, "msg_1", nil); got.Verdict != Delivered {
		t.Errorf("%+v, want it delivered directly", got)
	}
}

// tlsReceiver serves HTTPS on loopback, and returns a sender that trusts it. The certificate is put into the config.
func tlsReceiver(t *testing.T, config *tls.Config, handle ...http.HandlerFunc) (string, *Sender) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
		for _, do := range handle {
			do(w, r)
		}
	}))
	srv.TLS = config
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	if config != nil {
		config.Certificates = srv.TLS.Certificates
	}
	s := newTestSender(t)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	s.transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	return srv.URL, s
}

func TestTransport_SpeaksHTTP2OverTLS12AndLater(t *testing.T) {
	t.Parallel()
	for version, want := range map[uint16]Result{
		tls.VersionTLS10: {Detail: "TLS failure"},
		tls.VersionTLS11: {Detail: "TLS failure"},
		tls.VersionTLS12: {Verdict: Delivered, Status: 200, Detail: "HTTP 200"},
		tls.VersionTLS13: {Verdict: Delivered, Status: 200, Detail: "HTTP 200"},
	} {
		url, s := tlsReceiver(t, &tls.Config{MinVersion: version, MaxVersion: version})
		if got := s.Send(t.Context(), url, "msg_1", []byte("{}")); got != want {
			t.Errorf("%s: %+v, want %+v", tls.VersionName(version), got, want)
		}
	}
}

func TestTransport_RefusesCertificatesItCannotTrust(t *testing.T) {
	t.Parallel()
	url, trusting := tlsReceiver(t, nil)
	for name, tt := range map[string]struct {
		s   *Sender
		url string
	}{
		"unknown authority": {newTestSender(t), url},
		"other name":        {trusting, strings.Replace(url, "127.0.0.1", "127.0.0.2", 1)},
		"no TLS at all":     {trusting, strings.Replace(receiver(t, nil), "http:", "https:", 1)},
	} {
		got := tt.s.Send(t.Context(), tt.url, "msg_1", nil)
		refused := name == "other name" && got.Detail == "connection refused" // where nothing listens on 127.0.0.2
		if got != (Result{Detail: "TLS failure"}) && !refused {
			t.Errorf("%s: %+v, want a TLS failure", name, got)
		}
	}
}

// rawReceiver answers each connection with what a function writes, and returns its URL.
func rawReceiver(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/"
}

func TestSend_SurvivesEveryKindOfAnswer(t *testing.T) {
	t.Parallel()
	delivered := Result{Verdict: Delivered, Status: 200, Detail: "HTTP 200"}
	invalid := Result{Detail: "invalid response"}
	for name, tt := range map[string]struct {
		answer string
		want   Result
	}{
		"none":                 {"", Result{Detail: "connection closed"}},
		"garbage":              {"220 smtp.canary.example ESMTP\r\n", invalid},
		"cut status":           {"HTTP/1.1 20", invalid},
		"cut headers":          {"HTTP/1.1 200 OK\r\nContent-", invalid},
		"status of 4 digits":   {"HTTP/1.1 2000 OK\r\n\r\n", invalid},
		"endless headers":      {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponse), invalid},
		"many headers":         {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxResponse/6) + "\r\n", invalid},
		"long headers":         {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxResponse/2) + "\r\n\r\n", delivered},
		"body to the end":      {"HTTP/1.1 200 OK\r\n\r\ncanary", delivered},
		"body cut":             {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncanary", delivered},
		"broken chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary", delivered},
		"huge body":            {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 4<<20), delivered},
		"false gzip":           {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\ncanary", delivered},
		"early hints":          {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", delivered},
		"processing for ever":  {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 10_000), invalid},
		"switching protocols":  {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", Result{Status: 101, Detail: "HTTP 101"}},
		"status below 100":     {"HTTP/1.1 099 Odd\r\n\r\n", Result{Status: 99, Detail: "HTTP 99"}},
		"status above 599":     {"HTTP/1.1 999 Odd\r\n\r\n", Result{Status: 999, Detail: "HTTP 999"}},
		"HTTP/1.0":             {"HTTP/1.0 200 OK\r\n\r\n", delivered},
		"gone, and no newline": {"HTTP/1.1 410 Gone\r\n\r\n", Result{Verdict: Gone, Status: 410, Detail: "HTTP 410"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawReceiver(t, func(conn net.Conn) {
				if _, err := io.ReadFull(conn, make([]byte, 64)); err == nil { // the rest of the request does not matter
					_, _ = io.WriteString(conn, tt.answer)
					_ = conn.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, conn)
				}
			})
			if got := newTestSender(t).Send(t.Context(), url, "msg_1", []byte("{}")); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSend_NamesWhatKeptItFromConnecting(t *testing.T) {
	t.Parallel()
	closed := "http://" + freeport.Addr(t) + "/"
	if got := newTestSender(t).Send(t.Context(), closed, "msg_1", nil); got != (Result{Detail: "connection refused"}) {
		t.Errorf("nobody listens: %+v", got)
	}
	url := receiver(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) })
	if got := newTestSender(t).Send(t.Context(), url, "msg_1", nil); got != (Result{Detail: "connection closed"}) {
		t.Errorf("the receiver hangs up: %+v", got)
	}
	nameless := newDNS(t).sender(t)
	if got := nameless.Send(t.Context(), "http://nobody.test./", "msg_1", nil); got != (Result{Detail: "name not resolved"}) {
		t.Errorf("the name has no address: %+v", got)
	}
	if got := newTestSender(t).Send(t.Context(), "http://receiver.example:0080/", "msg_1", nil); got.Verdict != NotDelivered {
		t.Errorf("an odd port: %+v", got)
	}
}

func TestSend_ConnectionsAreKeptForTheNextPost(t *testing.T) {
	t.Parallel()
	var addrs []string
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		addrs = append(addrs, r.RemoteAddr)
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
	})
	s := newTestSender(t)
	for range 3 {
		s.Send(t.Context(), url, "msg_1", []byte("{}"))
	}
	if len(addrs) != 3 || addrs[0] != addrs[1] || addrs[1] != addrs[2] {
		t.Errorf("posts came over %v, want one connection", addrs)
	}
}

func TestFailure_UsesFixedWordsAndSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, failuresInFixedWords) // so that a deadline has passed just now, however busy the machine is
}

func failuresInFixedWords(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	passed, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	long, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for _, tt := range []struct {
		ctx   context.Context
		err   error
		want  string
		cause Cause
	}{
		{canceled, io.EOF, "canceled", CauseHere},
		{passed, io.EOF, "timed out", CauseReceiver},
		{long, io.EOF, "timed out while this process was held up", CauseHere},
		{t.Context(), context.DeadlineExceeded, "timed out", CauseReceiver},
		{t.Context(), syscall.ETIMEDOUT, "timed out", CauseReceiver},
		{t.Context(), errAddress, "address is not public and not in CALLBACK_ALLOW_NETWORKS", CauseRules},
		{t.Context(), errClosed, "address can never be allowed", CauseRules},
		{t.Context(), errPort, "port not allowed", CauseRules},
		{t.Context(), syscall.EMFILE, "too many open files in this process: raise its limit (ulimit -n, or LimitNOFILE of systemd)", CauseHere},
		{t.Context(), syscall.ENFILE, "too many open files on this machine: raise fs.file-max", CauseHere},
		{t.Context(), syscall.EADDRNOTAVAIL, "no free local port or address on this machine", CauseHere},
		{t.Context(), syscall.ENOBUFS, "no memory for a connection on this machine", CauseHere},
		{t.Context(), &net.DNSError{Err: "dial udp 10.0.0.1:53: socket: too many open files", Name: "canary.example"}, "too many open files in this process: raise its limit (ulimit -n, or LimitNOFILE of systemd)", CauseHere},
		{t.Context(), &net.DNSError{Name: "canary.example", IsTimeout: true}, "name not resolved", CauseReceiver},
		{t.Context(), syscall.ECONNREFUSED, "connection refused", CauseReceiver},
		{t.Context(), syscall.EHOSTUNREACH, "host unreachable", CauseReceiver},
		{t.Context(), syscall.ENETUNREACH, "host unreachable", CauseReceiver},
		{t.Context(), syscall.ECONNRESET, "connection closed", CauseReceiver},
		{t.Context(), syscall.EPIPE, "connection closed", CauseReceiver},
		{t.Context(), io.EOF, "connection closed", CauseReceiver},
		{t.Context(), io.ErrUnexpectedEOF, "connection closed", CauseReceiver},
		{t.Context(), errWire, "invalid response", CauseReceiver},
		{t.Context(), errors.New("canary"), "connection failed", CauseReceiver},
	} {
		wrapped := &net.OpError{Op: "dial", Net: "tcp", Err: tt.err}
		want := Result{Detail: tt.want, Cause: tt.cause}
		if got := new(progress).failure(tt.ctx, wrapped); got != want {
			t.Errorf("%v: %+v, want %+v", wrapped, got, want)
		}
	}
}
